"""Storing and sending mail, wired for one application."""

from dataclasses import dataclass
from functools import partial
from typing import Self

from authapp.config import Settings, SettingsError
from authapp.database.fast_path import FastPath
from authapp.domain.mail import local_transports, smtp  # noqa: F401 - they register themselves
from authapp.domain.mail.account_mails import AccountMails
from authapp.domain.mail.counted_mails import CountedMails
from authapp.domain.mail.delivery import MailDelivery
from authapp.domain.mail.kinds import mail_kinds
from authapp.domain.mail.messages import MailLinks, MailMessages
from authapp.domain.mail.templates import MailTemplates
from authapp.domain.mail.transports import TransportFactory, mail_transports


@dataclass(frozen=True)
class MailServices:
    """Where mails are stored, and what sends them: ``delivery`` is ``None`` without a server or a From address."""

    counted: CountedMails
    account_mails: AccountMails
    delivery: MailDelivery | None

    @classmethod
    def build(cls, settings: Settings, fast_path: FastPath) -> Self:
        """Create what stores mails, and what sends them.

        Raises ``SettingsError`` if there is no transport for the address in the settings, or if it cannot use it.
        """
        counted = CountedMails(fast_path, settings.mail_rate_limit)
        return cls(
            counted=counted,
            account_mails=AccountMails(counted),
            delivery=_delivery(settings, fast_path),
        )


def _delivery(settings: Settings, fast_path: FastPath) -> MailDelivery | None:
    from_address, transports = settings.mail_from, _transports(settings)
    if from_address is None or transports is None:
        return None
    messages = MailMessages(
        MailTemplates(settings.mail_templates, *(kind.templates for kind in mail_kinds.values() if kind.templates)),
        MailLinks(settings.issuer, settings.link_url),
        from_address=from_address,
        issuer=settings.issuer,
    )
    return MailDelivery(messages, transports, fast_path, timeout=settings.mail_timeout)


def _transports(settings: Settings) -> TransportFactory | None:
    server, from_address = settings.mail_url, settings.mail_from
    if server is None or from_address is None:
        return None
    if server.kind not in mail_transports:
        # It is not quoted: what stands before the first colon may be a part of a password.
        known = ", ".join(sorted(mail_transports))
        raise SettingsError([f"AUTHAPP_MAIL_URL must begin with a transport that is registered: {known}."])
    make = partial(mail_transports[server.kind].make, server, from_address.addr_spec, settings.mail_timeout)
    try:
        make()
    except ValueError as error:
        raise SettingsError([f"AUTHAPP_MAIL_URL {error}"]) from None
    return make
