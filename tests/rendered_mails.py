"""Mails for tests, made without a database, as a mail program reads them."""

from email import message_from_bytes, policy
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from authapp import clock
from authapp.domain.mail.kinds import Recipient, mail_kinds
from authapp.domain.mail.messages import MailLinks, MailMessages, envelope_address
from authapp.domain.mail.one_time_secrets import OneTimeSecrets
from authapp.domain.mail.templates import MailTemplates
from authapp.domain.mail.transports import ASCII_POLICY
from authapp.models import OutgoingMail, User
from authapp.security import identifiers

ISSUER = "https://auth.example.com"


TOKEN = "t0ken-" + "x" * 64


SENDER = Address("Accounts", addr_spec="no-reply@example.com")


def a_mail(kind: str = "reset_password", **context: Any) -> OutgoingMail:
    values = {"request_id": "r-1", "ip_address": "192.0.2.7", "device": "Firefox on Linux", "locale": None, **context}
    details = dict(mail_kinds[kind].examples[0]) if kind in mail_kinds else {}
    mail_id = identifiers.time_ordered()
    return OutgoingMail(id=mail_id, kind=kind, context=values, details=details, created_at=clock.now())


def a_recipient(address: str = "ada@example.com", *, is_verified: bool = True, **changes: Any) -> Recipient:
    values = {"username": "ada", "email": address, **changes}
    user = User(**values, email_verified_at=clock.now() if is_verified else None)
    return Recipient(user, address)


def messages(folder: Path | None = None, link_url: str | None = None, sender: Address = SENDER) -> MailMessages:
    return MailMessages(MailTemplates(folder), MailLinks(ISSUER, link_url), from_address=sender, issuer=ISSUER)


def render(
    mail: OutgoingMail | None = None,
    recipient: Recipient | None = None,
    made_with: MailMessages | None = None,
    code: str | None = None,
) -> EmailMessage:
    """Return the message as a mail program reads it."""
    mail, recipient, made_with = mail or a_mail(), recipient or a_recipient(), made_with or messages()
    purpose = mail_kinds[mail.kind].purpose
    secrets = OneTimeSecrets(purpose, TOKEN, code) if purpose else None
    variables = made_with.variables(mail.kind, mail, recipient, secrets)
    address = envelope_address(recipient.address)
    built = made_with.build(mail.kind, mail.id, address, mail.context["locale"], variables)
    read = message_from_bytes(built.as_bytes(policy=ASCII_POLICY), policy=policy.SMTP)
    assert isinstance(read, EmailMessage)
    return read


def texts(message: EmailMessage) -> tuple[str, str]:
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    return plain.get_content(), html.get_content()
