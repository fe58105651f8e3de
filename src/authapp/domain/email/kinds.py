"""The kinds of mail: whom each concerns, and which one-time token it carries.

The recipient is looked up when the mail is sent, not when it is stored: the account may be gone by then, or disabled,
or have another address. Then the mail is dropped.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, select

from authapp import clock
from authapp.database.session import db
from authapp.domain.one_time_tokens import Purpose
from authapp.models import OutgoingMail, User, UserStatus
from authapp.models.user import lookup_key
from authapp.registry import Registry


@dataclass(frozen=True)
class Recipient:
    """The account that a mail concerns, and the address that it is sent to."""

    user: User
    address: str


@dataclass(frozen=True)
class MailKind:
    """One kind of mail.

    ``recipient`` returns who gets a mail of it, or ``None`` if it is to be dropped; it may read the database.
    ``purpose`` is that of the one-time token in its link, if it has one. ``event`` is a type of audit event that is
    recorded when the mail has been sent: its request could not record one, because it did not know the account.
    """

    recipient: Callable[[OutgoingMail], Recipient | None]
    purpose: Purpose | None = None
    event: str | None = None


mail_kinds: Registry[MailKind] = Registry(
    "kind of mail", r"[a-z][a-z_]{0,39}", "use 1 to 40 of a-z and _, such as invoice_ready."
)
"""All kinds of mail. Register your own before ``create_app()``, with a template of the same name."""


def owner_of_address(mail: OutgoingMail) -> Recipient | None:
    """Return the active account that has the address to which the mail was requested."""
    user = _one(User.email_key == lookup_key(mail.address or ""), User.status == UserStatus.ACTIVE)
    return user and Recipient(user, user.email)


def unverified_owner_of_address(mail: OutgoingMail) -> Recipient | None:
    """Return the same, unless the address has been verified."""
    recipient = owner_of_address(mail)
    return recipient if recipient and recipient.user.email_verified_at is None else None


def account(mail: OutgoingMail) -> Recipient | None:
    """Return the account with the id that is stored, at the address that it has now."""
    user = _one(User.id == mail.user_id)
    return user and Recipient(user, user.email)


def pending_address(mail: OutgoingMail) -> Recipient | None:
    """Return the account at the address that it asked for, if it still asks for that one."""
    user = _one(
        User.id == mail.user_id,
        User.status == UserStatus.ACTIVE,
        User.pending_email == mail.address,
        User.pending_email_until > clock.now(),
    )
    return user and Recipient(user, mail.address or "")


def stored_address(mail: OutgoingMail) -> Recipient | None:
    """Return the account at the address that is stored, such as the one that it had before."""
    user = _one(User.id == mail.user_id)
    return user and Recipient(user, mail.address or "")


def _one(*conditions: ColumnElement[bool]) -> User | None:
    return db.session.scalars(select(User).where(*conditions)).one_or_none()


VERIFY_EMAIL = mail_kinds.register("verify_email", MailKind(unverified_owner_of_address, Purpose.VERIFY_EMAIL))
RESET_PASSWORD = mail_kinds.register("reset_password", MailKind(owner_of_address, Purpose.RESET_PASSWORD))
LOGIN_LINK = mail_kinds.register("login_link", MailKind(owner_of_address, Purpose.LOGIN))
CHANGE_EMAIL = mail_kinds.register("change_email", MailKind(pending_address, Purpose.CHANGE_EMAIL))
EMAIL_CHANGED = mail_kinds.register("email_changed", MailKind(stored_address, Purpose.UNDO_EMAIL))
PASSWORD_CHANGED = mail_kinds.register("password_changed", MailKind(account))
ACCOUNT_EXISTS = mail_kinds.register("account_exists", MailKind(owner_of_address))
NEW_LOGIN = mail_kinds.register("new_login", MailKind(account))
