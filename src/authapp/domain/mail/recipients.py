"""Who gets a mail, looked up when it is sent: what most kinds of mail need for ``MailKind.recipient``."""

from sqlalchemy import ColumnElement, select

from authapp.database.session import db
from authapp.domain.mail.kinds import Recipient
from authapp.models import OutgoingMail, User, UserStatus
from authapp.models.user import lookup_key


def owner_of_address(mail: OutgoingMail) -> Recipient | None:
    """Return the active account that has the address to which the mail was requested."""
    is_active = User.status == UserStatus.ACTIVE
    return _at_its_address(find_account(User.email_key == lookup_key(mail.address or ""), is_active))


def unverified_owner_of_address(mail: OutgoingMail) -> Recipient | None:
    """Return the same, unless the address has been verified."""
    recipient = owner_of_address(mail)
    return recipient if recipient and recipient.user.email_verified_at is None else None


def owner(mail: OutgoingMail) -> Recipient | None:
    """Return the account with the id that is stored, at the address that it has now."""
    return _at_its_address(find_account(User.id == mail.user_id))


def active_owner(mail: OutgoingMail) -> Recipient | None:
    """Return the same, unless the account is disabled."""
    recipient = owner(mail)
    return recipient if recipient and recipient.user.status == UserStatus.ACTIVE else None


def owner_at_stored_address(mail: OutgoingMail) -> Recipient | None:
    """Return the account at the address that is stored, such as the one that it had before."""
    user = find_account(User.id == mail.user_id)
    return user and Recipient(user, mail.address or "")


def active_owner_at_stored_address(mail: OutgoingMail) -> Recipient | None:
    """Return the same, unless the account is disabled."""
    recipient = owner_at_stored_address(mail)
    return recipient if recipient and recipient.user.status == UserStatus.ACTIVE else None


def find_account(*conditions: ColumnElement[bool]) -> User | None:
    """Return the account that meets these conditions, if there is one."""
    return db.session.scalars(select(User).where(*conditions)).one_or_none()


def _at_its_address(user: User | None) -> Recipient | None:
    """Return the account at its address, unless it is a service account, which has none."""
    return None if user is None or user.email is None else Recipient(user, user.email)
