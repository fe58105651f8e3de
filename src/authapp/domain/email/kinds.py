"""The kinds of mail that are about accounts, their addresses and what proves them.

A notice goes to the address that the account had when it was stored: a thief may change the address before the notice
is sent. The notice of a void password goes to the address at the time of sending, whose owner can choose a password.
"""

from collections.abc import Callable

from sqlalchemy import ColumnElement, exists
from sqlalchemy.orm import aliased

from authapp import clock
from authapp.domain.audit.events import EventType
from authapp.domain.email.previous_addresses import can_be_restored
from authapp.domain.mail import recipients
from authapp.domain.mail.kinds import MailKind, Recipient, mail_kinds
from authapp.domain.token_purposes import TokenPurpose, token_purposes
from authapp.models import OutgoingMail, User, UserStatus
from authapp.models.user import lookup_key


def _owner_at_pending_address(mail: OutgoingMail) -> Recipient | None:
    """Return the account at the address that it asked for, if it still asks for that one and no account has it."""
    holder = aliased(User)
    is_free = ~exists().where(holder.email_key == lookup_key(mail.address or ""))
    user = recipients.find_account(is_free, *_asks_for_address(User, mail))
    return user and Recipient(user, mail.address or "")


def _holder_of_pending_address(mail: OutgoingMail) -> Recipient | None:
    """Return the account that has the address, if another one still asks for it.

    Both may be of one person: a stranger may have registered the address, and not been able to verify it.
    """
    asking = aliased(User)
    is_asked_for = exists().where(asking.id != User.id, *_asks_for_address(asking, mail))
    recipient = recipients.owner_of_address(mail)
    return recipient and recipients.find_account(User.id == recipient.user.id, is_asked_for) and recipient


def _asks_for_address(account: type[User], mail: OutgoingMail) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that ``account`` is the one of the mail, and still asks for the address of the mail."""
    return (
        account.id == mail.user_id,
        account.status == UserStatus.ACTIVE,
        account.pending_email == mail.address,
        account.pending_email_until > clock.now(),
    )


def _owner_at_restorable_address(mail: OutgoingMail) -> Recipient | None:
    """Return the account at the address that is stored, if that can still be restored."""
    recipient = recipients.owner_at_stored_address(mail)
    is_restorable = recipient is not None and can_be_restored(recipient.user, lookup_key(recipient.address))
    return recipient if is_restorable else None


def _requested(
    recipient: Callable[[OutgoingMail], Recipient | None],
    purpose: str,
    event: str | None = None,
    fallback: str | None = None,
) -> MailKind:
    """Return a kind with a link that somebody waits for: later than its token lives, they have asked again."""
    return MailKind(recipient, purpose, event, fallback, max_age=token_purposes[purpose].lifetime)


VERIFY_EMAIL = mail_kinds.register(
    "verify_email", _requested(recipients.unverified_owner_of_address, TokenPurpose.VERIFY_EMAIL)
)
RESET_PASSWORD = mail_kinds.register(
    "reset_password",
    _requested(recipients.owner_of_address, TokenPurpose.RESET_PASSWORD, EventType.PASSWORD_RESET_REQUESTED),
)
LOGIN_LINK = mail_kinds.register(
    "login_link", _requested(recipients.owner_of_address, TokenPurpose.LOGIN, EventType.LOGIN_LINK_SENT)
)
# To the same mailbox: whoever asked for the address of somebody else learns nothing.
EMAIL_TAKEN = mail_kinds.register("email_taken", MailKind(_holder_of_pending_address))
CHANGE_EMAIL = mail_kinds.register(
    "change_email", _requested(_owner_at_pending_address, TokenPurpose.CHANGE_EMAIL, fallback=EMAIL_TAKEN)
)
EMAIL_CHANGED_NOTICE = mail_kinds.register("email_changed_notice", MailKind(recipients.owner_at_stored_address))
EMAIL_CHANGED = mail_kinds.register(
    "email_changed", MailKind(_owner_at_restorable_address, TokenPurpose.UNDO_EMAIL, fallback=EMAIL_CHANGED_NOTICE)
)
# Guests can use up the links to reset a password, and must not keep the owner from being told.
PASSWORD_VOIDED_NOTICE = mail_kinds.register("password_voided_notice", MailKind(recipients.active_owner))
PASSWORD_VOIDED = mail_kinds.register(
    "password_voided",
    MailKind(recipients.active_owner, TokenPurpose.RESET_PASSWORD, fallback=PASSWORD_VOIDED_NOTICE),
)
PASSWORD_CHANGED = mail_kinds.register("password_changed", MailKind(recipients.owner_at_stored_address))
# It answers a registration, in place of the mail with the link that verifies an address.
ACCOUNT_EXISTS = mail_kinds.register(
    "account_exists",
    MailKind(recipients.owner_of_address, max_age=mail_kinds[VERIFY_EMAIL].max_age),
)
