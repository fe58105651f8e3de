"""The delivery of mails, set up as the settings say."""

from email.headerregistry import Address

from authapp.config import MailServer, Settings
from authapp.database.fast_path import FastPath
from authapp.domain.mail.delivery import MailDelivery
from authapp.domain.mail.messages import MailLinks, MailMessages
from authapp.domain.mail.outbox import Outbox
from authapp.domain.mail.smtp import SMTPTransport
from authapp.domain.mail.templates import MailTemplates
from authapp.domain.mail.transports import ConsoleTransport, FolderTransport, Transport
from authapp.domain.one_time_tokens import OneTimeTokens


def mail_delivery(
    settings: Settings, outbox: Outbox, tokens: OneTimeTokens, fast_path: FastPath
) -> MailDelivery | None:
    """Return the delivery of mails; ``None`` without a mail server or a sender."""
    server, sender = settings.mail_url, settings.mail_from
    if server is None or sender is None:
        return None
    messages = MailMessages(
        MailTemplates(settings.mail_templates),
        MailLinks(settings.issuer, settings.link_url),
        sender=sender,
        issuer=settings.issuer,
    )
    return MailDelivery(
        outbox,
        tokens,
        messages,
        lambda: _transport(server, sender, settings.mail_timeout),
        fast_path,
        timeout=settings.mail_timeout,
    )


def _transport(server: MailServer, sender: Address, timeout: float) -> Transport:
    if server.kind == "file":
        return FolderTransport(server.folder)
    if server.kind == "console":
        return ConsoleTransport()
    return SMTPTransport(server, sender.addr_spec, timeout)
