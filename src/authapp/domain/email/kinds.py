"""The kinds of mail: whom each concerns, and which one-time token it carries.

The recipient is looked up when the mail is sent, not when it is stored: the account may be gone by then, or disabled,
or have another address. Then the mail is dropped.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import aliased

from authapp import clock
from authapp.database.session import db
from authapp.domain.audit.events import EventType, event_types
from authapp.domain.email.ages import NOTICE_MAX_AGE
from authapp.domain.email.previous_addresses import can_be_restored
from authapp.domain.token_purposes import TokenPurpose, token_purposes
from authapp.models import OutgoingMail, User, UserStatus
from authapp.models.user import lookup_key
from authapp.registry import Registry


@dataclass(frozen=True)
class Recipient:
    """The account that a mail concerns, and the address that it is sent to."""

    user: User
    address: str

    @property
    def is_verified(self) -> bool:
        """Whether this very address has been verified. Otherwise it may be somebody else's."""
        return self.user.email_verified_at is not None and lookup_key(self.address) == self.user.email_key


@dataclass(frozen=True)
class MailKind:
    """One kind of mail.

    ``recipient`` returns who gets a mail of it, or ``None`` if it is to be dropped; it may read the database.
    ``purpose`` is that of the one-time token in its link, if it has one. ``event`` is a registered type of audit event
    that is recorded when the mail has been sent: its request could not record one, because it did not know the account.
    ``fallback`` is the kind that is sent if nobody is to get this one, or no token can be issued. A mail older than
    ``max_age`` is given up rather than sent; whatever it says, pruning removes mails that have been due for a week.
    ``details`` names what its templates need and ``Outbox.add`` is given.

    Raises ``KeyError`` if ``event`` is not registered: a mail that has been sent must be recorded.
    """

    recipient: Callable[[OutgoingMail], Recipient | None]
    purpose: str | None = None
    event: str | None = None
    fallback: str | None = None
    max_age: timedelta = NOTICE_MAX_AGE
    details: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.event is not None:
            event_types.require(self.event)


class UnknownKind(Exception):
    """A mail is of a kind that this process does not know."""


mail_kinds: Registry[MailKind] = Registry(
    "kind of mail", r"[a-z][a-z_]{0,39}", "use 1 to 40 of a-z and _, such as invoice_ready."
)
"""All kinds of mail. Register your own before ``create_app()``, with a template of the same name."""


def resolve(mail: OutgoingMail, name: str) -> tuple[str, Recipient | None]:
    """Return the kind to send and who gets it: the one of this name, or its fallback if nobody gets one of that kind.

    Raises ``UnknownKind``.
    """
    if name not in mail_kinds:
        raise UnknownKind(f"There is no kind of mail {name!r}.")
    kind = mail_kinds[name]
    recipient = kind.recipient(mail)
    return resolve(mail, kind.fallback) if recipient is None and kind.fallback else (name, recipient)


def recipient_by_address(mail: OutgoingMail) -> Recipient | None:
    """Return the active account that has the address to which the mail was requested."""
    return _at_its_address(_one(User.email_key == lookup_key(mail.address or ""), User.status == UserStatus.ACTIVE))


def unverified_recipient_by_address(mail: OutgoingMail) -> Recipient | None:
    """Return the same, unless the address has been verified."""
    recipient = recipient_by_address(mail)
    return recipient if recipient and recipient.user.email_verified_at is None else None


def recipient_by_id(mail: OutgoingMail) -> Recipient | None:
    """Return the account with the id that is stored, at the address that it has now."""
    return _at_its_address(_one(User.id == mail.user_id))


def active_recipient_by_id(mail: OutgoingMail) -> Recipient | None:
    """Return the same, unless the account is disabled."""
    recipient = recipient_by_id(mail)
    return recipient if recipient and recipient.user.status == UserStatus.ACTIVE else None


def pending_recipient(mail: OutgoingMail) -> Recipient | None:
    """Return the account at the address that it asked for, if it still asks for that one and no account has it."""
    holder = aliased(User)
    user = _one(
        ~exists().where(holder.email_key == lookup_key(mail.address or "")),
        User.id == mail.user_id,
        User.status == UserStatus.ACTIVE,
        User.pending_email == mail.address,
        User.pending_email_until > clock.now(),
    )
    return user and Recipient(user, mail.address or "")


def stored_recipient(mail: OutgoingMail) -> Recipient | None:
    """Return the account at the address that is stored, such as the one that it had before."""
    user = _one(User.id == mail.user_id)
    return user and Recipient(user, mail.address or "")


def active_stored_recipient(mail: OutgoingMail) -> Recipient | None:
    """Return the same, unless the account is disabled."""
    recipient = stored_recipient(mail)
    return recipient if recipient and recipient.user.status == UserStatus.ACTIVE else None


def previous_recipient(mail: OutgoingMail) -> Recipient | None:
    """Return the account at the address that is stored, if that can still be restored."""
    recipient = stored_recipient(mail)
    is_due = recipient is not None and can_be_restored(recipient.user, lookup_key(recipient.address))
    return recipient if is_due else None


def _at_its_address(user: User | None) -> Recipient | None:
    """Return the account at its address, unless it is a service account, which has none."""
    return None if user is None or user.email is None else Recipient(user, user.email)


def _one(*conditions: ColumnElement[bool]) -> User | None:
    return db.session.scalars(select(User).where(*conditions)).one_or_none()


def _requested(
    recipient: Callable[[OutgoingMail], Recipient | None], purpose: str, event: str | None = None
) -> MailKind:
    """Return a kind with a link that somebody waits for: later than its token lives, they have asked again."""
    return MailKind(recipient, purpose, event, max_age=token_purposes[purpose].lifetime)


VERIFY_EMAIL = mail_kinds.register(
    "verify_email", _requested(unverified_recipient_by_address, TokenPurpose.VERIFY_EMAIL)
)
RESET_PASSWORD = mail_kinds.register(
    "reset_password",
    _requested(recipient_by_address, TokenPurpose.RESET_PASSWORD, EventType.PASSWORD_RESET_REQUESTED),
)
LOGIN_LINK = mail_kinds.register(
    "login_link", _requested(recipient_by_address, TokenPurpose.LOGIN, EventType.LOGIN_LINK_SENT)
)
CHANGE_EMAIL = mail_kinds.register("change_email", _requested(pending_recipient, TokenPurpose.CHANGE_EMAIL))
EMAIL_CHANGED_NOTICE = mail_kinds.register("email_changed_notice", MailKind(stored_recipient))
EMAIL_CHANGED = mail_kinds.register(
    "email_changed", MailKind(previous_recipient, TokenPurpose.UNDO_EMAIL, fallback=EMAIL_CHANGED_NOTICE)
)
PASSWORD_VOIDED = mail_kinds.register("password_voided", MailKind(active_recipient_by_id, TokenPurpose.RESET_PASSWORD))
PASSWORD_CHANGED = mail_kinds.register("password_changed", MailKind(recipient_by_id))
# It answers a registration, in place of the mail with the link that verifies an address.
ACCOUNT_EXISTS = mail_kinds.register(
    "account_exists", MailKind(recipient_by_address, max_age=token_purposes[TokenPurpose.VERIFY_EMAIL].lifetime)
)
FACTOR_ADDED_NOTICE = mail_kinds.register(
    "factor_added_notice", MailKind(stored_recipient, details=frozenset({"factor"}))
)
FACTOR_ADDED = mail_kinds.register(
    "factor_added",
    MailKind(
        active_stored_recipient,
        TokenPurpose.UNDO_FACTORS,
        fallback=FACTOR_ADDED_NOTICE,
        details=frozenset({"factor"}),
    ),
)
FACTOR_REMOVED = mail_kinds.register("factor_removed", MailKind(recipient_by_id, details=frozenset({"factor"})))
RECOVERY_CODES_CREATED = mail_kinds.register("recovery_codes_created", MailKind(recipient_by_id))
RECOVERY_CODE_USED = mail_kinds.register(
    "recovery_code_used", MailKind(recipient_by_id, details=frozenset({"remaining"}))
)
PASSKEY_COUNTER_REVERSED = mail_kinds.register("passkey_counter_reversed", MailKind(recipient_by_id))
NEW_LOGIN = mail_kinds.register("new_login", MailKind(recipient_by_id))
