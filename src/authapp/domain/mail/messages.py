"""The messages: what a template gets to say, its link, and the headers around what it made of it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from itertools import product
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import UUID

import idna

from authapp import clock
from authapp.domain.mail.kinds import Recipient, mail_kinds
from authapp.domain.mail.one_time_secrets import OneTimeSecrets
from authapp.domain.mail.templates import MailTemplates
from authapp.domain.mail.transports import ASCII_POLICY
from authapp.domain.token_purposes import token_purposes
from authapp.models import OutgoingMail
from authapp.models.user import ENCODED_WORD
from authapp.security import identifiers

TEST_TEMPLATE = "test_mail"

VARIABLES = ("username", "link", "code", "lifetime", "lifetime_minutes", "when", "ip_address", "device", "details")
"""What the templates of every kind of mail can use, besides ``app_name``, ``issuer`` and ``site``."""

_POLICY = ASCII_POLICY.clone(max_line_length=900)
"""A text of ASCII stays as it is, also where a link makes a line longer than usual (RFC 5321 allows 998 characters)."""


class MailLinks:
    """Makes links to the pages of a front end, or to those below the issuer, whatever a request said about its host."""

    def __init__(self, issuer: str, link_url: str | None) -> None:
        """Take the issuer, and a template with ``{purpose}``, and ``{token}`` in its fragment."""
        base = issuer.rstrip("/")
        self._template = link_url or _braces_doubled(base) + "/account/{purpose}#token={token}"
        url = urlsplit(self._template)
        self.site = f"{url.scheme}://{url.netloc}" if link_url else f"{base}/account/reset-password"
        """The front end, or the page that asks for a link to reset the password: the issuer has no page for people."""

    def with_token(self, purpose: str, token: str) -> str:
        """Return the link that carries a one-time token. Browsers send the fragment, where it is, to no server."""
        return self._template.format(purpose=purpose.replace("_", "-"), token=quote(token, safe=""))


class MailMessages:
    """Makes the messages of one application."""

    def __init__(self, templates: MailTemplates, links: MailLinks, *, from_address: Address, issuer: str) -> None:
        self._templates, self._links = templates, links
        self.from_address = from_address
        self._fixed = {"app_name": urlsplit(issuer).hostname or issuer, "issuer": issuer, "site": links.site}

    def variables(
        self, kind: str, mail: OutgoingMail, recipient: Recipient, secrets: OneTimeSecrets | None
    ) -> dict[str, Any]:
        """Return the variables of the templates of ``kind``: that of the mail, or one that it falls back to.

        All are set; what does not apply is ``None``.

        ``username`` is ``None`` unless this very address has been verified. Otherwise it may be somebody else's, and a
        username such as ``login.evil.com`` would be a message to them.
        """
        lifetime = token_purposes[secrets.purpose].lifetime if secrets else None
        return {
            "username": recipient.user.username if recipient.is_verified else None,
            "link": self._links.with_token(secrets.purpose, secrets.token) if secrets else None,
            "code": secrets.code if secrets else None,
            "lifetime": _in_words(lifetime) if lifetime else None,
            "lifetime_minutes": int(lifetime.total_seconds()) // 60 if lifetime else None,
            "when": _in_utc(mail.created_at),
            "ip_address": mail.context.get("ip_address"),
            "device": mail.context.get("device"),
            "details": mail_kinds[kind].explain(mail.details),
        }

    def try_template(self, kind: str) -> None:
        """Render the templates of a kind in each language, with every variable and with none. Raises ``BadTemplate``.

        Its details are always there: those of each of its examples.
        """
        details = [mail_kinds[kind].explain(each) for each in mail_kinds[kind].examples] if kind in mail_kinds else [{}]
        for language, value, each in product((None, *self._templates.languages(kind)), ("1", None), details):
            variables = {**self._fixed, **dict.fromkeys(VARIABLES, value), "details": each}
            self._templates.render(kind, language, variables)

    def unused_templates(self) -> list[str]:
        """Return the names of the files in the operator's folder that no mail uses."""
        return self._templates.unused({*mail_kinds, TEST_TEMPLATE})

    def build_test(self, address: str) -> EmailMessage:
        """Return a message that says that mail works. Raises ``BadTemplate``."""
        variables: dict[str, Any] = {**dict.fromkeys(VARIABLES), "when": _in_utc(clock.now()), "details": {}}
        return self.build(TEST_TEMPLATE, identifiers.time_ordered(), address, None, variables)

    def build(
        self, kind: str, mail_id: UUID, address: str, locale: str | None, variables: Mapping[str, Any]
    ) -> EmailMessage:
        """Return a message of ``kind`` to ``address``, which is what ``envelope_address`` returned.

        ``Message-ID`` depends on ``mail_id`` alone, so that mail programs recognise a mail that is sent twice. Raises
        ``BadTemplate``.
        """
        rendered = self._templates.render(kind, locale, {**self._fixed, **variables})
        message = EmailMessage(policy=_POLICY)
        message["From"] = self.from_address
        message["To"] = _header_address(address)
        message["Subject"] = _without_encoded_words(rendered.subject)
        message["Date"] = format_datetime(clock.now())
        message["Message-ID"] = f"<{mail_id}@{self.from_address.domain}>"
        # RFC 3834: no out-of-office reply; the second is what Microsoft's servers look at.
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"
        message.set_content(rendered.text)
        if rendered.html is not None:
            message.add_alternative(rendered.html, subtype="html")
        if rendered.language:
            # After the content, which replaces such headers.
            message["Content-Language"] = rendered.language
        return message


def envelope_address(address: str) -> str:
    """Return an address with its domain in A-labels, which every server knows. Raises ``ValueError``."""
    if ENCODED_WORD in address:
        # ``email`` parses the header ``To`` again when it writes it, and writes what the word stands for. New addresses
        # have none; this one is older than the rule, or from elsewhere.
        raise ValueError("The address has an encoded word.")
    local_part, _, domain = address.rpartition("@")
    return f"{local_part}@{idna.encode(domain, uts46=True).decode()}"


def _header_address(address: str) -> Address:
    local_part, _, domain = address.rpartition("@")
    return Address(username=local_part, domain=domain)


def _without_encoded_words(text: str) -> str:
    # As in ``To``. What a template of others puts into a subject may be text that a client chose.
    return text.replace(ENCODED_WORD, "= ?")


_UNITS = ((24 * 60, "day"), (60, "hour"), (1, "minute"))


def _in_words(duration: timedelta) -> str:
    """Return a duration of whole minutes in the largest unit that it is a multiple of, such as ``3 days``."""
    minutes = int(duration.total_seconds()) // 60
    length, unit = next(each for each in _UNITS if minutes % each[0] == 0)
    count = minutes // length
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def _in_utc(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _braces_doubled(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
