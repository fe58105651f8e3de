"""The rows of accounts: finding, locking, changing and deleting them within an open transaction."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select, tuple_
from sqlalchemy.exc import IntegrityError

from authapp.context import Principal, RequestContext
from authapp.database.errors import broken_constraint
from authapp.database.session import db
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.passwords.verifier import ConfirmedUser
from authapp.domain.roles.grants import GrantPolicy, lock_in_order, no_such_role, require_another_admin, require_live
from authapp.domain.users.names import checked_names
from authapp.errors import (
    EmailTaken,
    FieldError,
    Refusal,
    ResourceNotFound,
    ServiceAccount,
    UsernameTaken,
    ValidationFailed,
    WrongPassword,
)
from authapp.models import BlocklistedToken, Session, User, UserKind
from authapp.models.role import ROLES_PER_ACCOUNT, checked_role_name
from authapp.models.user import email_key, lookup_key

UserRef = UUID | str
"""A reference to an account: its id, or its username or email address."""

UNIQUE_EMAIL = "uq_users_email_key"
"""The constraint that gives an address to one account alone."""

DELETED_AT_ONCE = 1_000
"""The most sessions, and the most blocklisted tokens, that are deleted together with their account."""


def checked_roles(names: Iterable[str]) -> list[str]:
    """Return the role names without duplicates. Raises ``ValidationFailed`` if one is not a valid role name."""
    distinct = list(dict.fromkeys(names))
    for name in distinct:
        try:
            checked_role_name(name)
        except ValueError:
            raise no_such_role() from None
    return distinct


def require_room_for_roles(count: int) -> None:
    """Raise ``ValidationFailed`` if an account would have more than ``ROLES_PER_ACCOUNT`` roles."""
    if count > ROLES_PER_ACCOUNT:
        sentence = f"An account has at most {ROLES_PER_ACCOUNT} roles."
        raise ValidationFailed(field_errors=[FieldError("#/roles", sentence)])


def lock_account(user: UserRef) -> User:
    """Lock the row of an account, as a login does, within the open transaction, and return the account.

    A concurrent login either commits first, and its session is visible here; or it waits, and sees the changes.

    Raises ``ResourceNotFound``.
    """
    statement = select(User).where(refers_to(user)).execution_options(populate_existing=True)
    return require_found(db.session.scalars(statement.with_for_update(key_share=True, of=User)).one_or_none(), user)


def lock_own(user_id: UUID, context: RequestContext) -> User:
    """Lock the principal's own account as ``lock_account`` does.

    Raises ``TokenRevoked`` if the session of ``context`` has ended meanwhile, as by the owner whose session it was.
    """
    user = lock_account(user_id)
    require_live(context)
    return user


def lock_managed(ref: UserRef, context: RequestContext) -> User:
    """Lock an account as ``lock_account`` does, for a principal who manages it.

    Raises ``ResourceNotFound``, or ``PermissionDenied`` if the account has permissions that the principal lacks.
    """
    if isinstance(context.principal, Principal) and isinstance(ref, UUID):
        lock_in_order(context.principal.id, ref)
    user = lock_account(ref)
    GrantPolicy.of(context).require_can_manage(user)
    return user


def require_person(user: User) -> None:
    """Raise ``ServiceAccount`` for the account of a service."""
    if user.kind != UserKind.PERSON:
        raise ServiceAccount


def lock_if_unchanged(user_id: UUID, confirmed: ConfirmedUser) -> User:
    """Lock and return an account. Raises ``WrongPassword`` if it has another password than the one confirmed."""
    user = lock_account(user_id)
    # A login may have replaced an outdated hash of the same password. Only a new password also sets updated_at.
    if user.password_hash != confirmed.password_hash and user.updated_at != confirmed.account_version:
        raise WrongPassword
    return user


def change_names(user: User, names: Mapping[str, str], context: RequestContext) -> dict[str, str]:
    """Set the ``username`` and ``email`` in ``names`` on a locked account.

    Returns the previous values of those that changed. A new address is not verified, and no link in a mail that was
    sent before changes it again; the same one in other letters is not new. Raises ``ValidationFailed``, also for the
    address of a service account.
    """
    if "email" in names and user.kind == UserKind.SERVICE:
        raise ValidationFailed(field_errors=[FieldError("#/email", "A service account has no email address.")])
    changes = {name: value for name, value in checked_names(**names).items() if value != getattr(user, name)}
    previous: dict[str, str] = {name: getattr(user, name) for name in changes}
    if "email" in changes and email_key(changes["email"]) == user.email_key:
        del previous["email"]
    for name, value in changes.items():
        setattr(user, name, value)
    if "email" in previous:
        user.email_verified_at = None
        user.previous_emails = None
    if changes:
        audit.record(EventType.USER_CHANGED, context=context, subject_id=user.id, fields=list(changes))
    return previous


def delete_account(user: User, context: RequestContext) -> None:
    """Delete a locked account, with its sessions and blocklist entries. Raises ``LastAdmin``.

    Without the account's row no token is accepted. Up to ``DELETED_AT_ONCE`` rows of each kind go with it; of an
    account with more, the others are pruned when they expire.
    """
    require_another_admin(user)
    for key in ((Session.user_id, Session.id), (BlocklistedToken.user_id, BlocklistedToken.jti)):
        some = select(*key).where(key[0] == user.id).limit(DELETED_AT_ONCE).cte("some")
        rows = delete(key[0].parent.class_).where(tuple_(*key).in_(select(*some.c)))
        db.session.execute(rows.execution_options(synchronize_session=False))
    db.session.execute(delete(User).where(User.id == user.id))
    # The event also has the username, because the id can no longer be looked up.
    audit.record(EventType.USER_DELETED, context=context, subject_id=user.id, username=user.username)


def require_found(user: User | None, ref: UserRef) -> User:
    """Return ``user``. Raises ``ResourceNotFound`` if it is ``None``."""
    if user is None:
        raise ResourceNotFound(f"There is no user {ref!r}." if isinstance(ref, str) else "")
    return user


def refers_to(user: UserRef) -> ColumnElement[bool]:
    """Return the SQL condition for the account that ``user`` refers to."""
    if isinstance(user, UUID):
        return User.id == user
    return (User.email_key if "@" in user else User.username_key) == lookup_key(user)


@contextmanager
def unique_names() -> Iterator[None]:
    """Turn the violation of a constraint in ``_REFUSED_BY`` into its refusal, such as ``UsernameTaken``."""
    try:
        yield
    except IntegrityError as error:
        if refusal := _REFUSED_BY.get(broken_constraint(error) or ""):
            raise refusal() from None
        raise


_REFUSED_BY: dict[str, Callable[[], Refusal]] = {
    "uq_users_username_key": UsernameTaken,
    UNIQUE_EMAIL: EmailTaken,
    "fk_user_roles_role_name_roles": no_such_role,
}
