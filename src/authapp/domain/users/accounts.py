"""Accounts: registering and creating them, and what users can do with their own account."""

from collections.abc import Callable, Iterable, Mapping
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select

from authapp import clock
from authapp.context import RequestContext
from authapp.database.errors import broken_constraint
from authapp.database.session import db, transaction
from authapp.domain import audit, hooks
from authapp.domain.audit import EventType
from authapp.domain.hooks import Hooks
from authapp.domain.passwords.checks import require_acceptable
from authapp.domain.passwords.hashing import PasswordHasher
from authapp.domain.passwords.verifier import PasswordVerifier
from authapp.domain.roles.grants import GrantPolicy, keep_an_admin, require_live
from authapp.domain.sessions import revocation
from authapp.domain.users.names import UserNames, checked_names
from authapp.errors import (
    EmailTaken,
    FieldError,
    Refusal,
    RegistrationClosed,
    ResourceNotFound,
    UsernameTaken,
    ValidationFailed,
    WrongPassword,
)
from authapp.models import EndReason, Session, User, UserRole
from authapp.models.role import checked_role_name
from authapp.models.user import lookup_key
from authapp.security import identifiers

UserRef = UUID | str
"""A reference to an account: its id, or its username or email address."""


class Accounts:
    """The use cases of accounts."""

    def __init__(
        self, verifier: PasswordVerifier, hasher: PasswordHasher, hooks: Hooks, *, registration_open: bool
    ) -> None:
        self._verifier = verifier
        self._hasher = hasher
        self._hooks = hooks
        self._registration_open = registration_open

    def register(self, *, username: str, email: str, password: str, context: RequestContext) -> User:
        """Create an account for a guest.

        Raises ``RegistrationClosed``, the refusals of ``create``, and whatever a ``before_registration`` hook raises.
        """
        if not self._registration_open:
            raise RegistrationClosed
        names = UserNames.checked(username, email)
        self._hooks.ask(hooks.before_registration, context=context, username=names.username, email=names.email)
        user = self._new(names, password)
        with unique_names(), transaction() as session:
            session.add(user)
            audit.record(EventType.USER_REGISTERED, context=context, subject_id=user.id, actor_id=user.id)
        self._tell_registered(user, context)
        return user

    def create(
        self, *, username: str, email: str, password: str | None, roles: Iterable[str] = (), context: RequestContext
    ) -> User:
        """Create an account with ``roles``. Without a ``password``, it cannot log in with a password.

        Raises ``ValidationFailed``, ``PasswordRejected``, ``UsernameTaken``, ``EmailTaken``, or ``PermissionDenied``
        for a role that the principal may not grant. If two requests want the same name at once, only one succeeds,
        because a database constraint decides and not a query beforehand.
        """
        role_names = checked_roles(roles)
        with transaction():
            # Also checked before hashing, so that a refusal does not cost a hash.
            GrantPolicy.of(context).require_can_grant(role_names)
        user = self._new(UserNames.checked(username, email), password, role_names)
        with unique_names(), transaction() as session:
            GrantPolicy.of(context).require_can_grant(role_names)
            session.add(user)
            audit.record(EventType.USER_CREATED, context=context, subject_id=user.id)
            for role in role_names:
                audit.record(EventType.ROLE_GRANTED, context=context, subject_id=user.id, role=role)
        self._tell_registered(user, context)
        return user

    def find(self, user: UserRef) -> User:
        """Return an account. Raises ``ResourceNotFound``."""
        return require_found(db.session.scalars(select(User).where(refers_to(user))).one_or_none(), user)

    def rename(self, user_id: UUID, *, username: str | None = None, context: RequestContext) -> User:
        """Change the username of the user's own account, if one is given.

        Raises ``ValidationFailed`` or ``UsernameTaken``, and ``TokenRevoked`` if the principal has been logged out
        meanwhile; so do ``change_password`` and ``close``.
        """
        names = {} if username is None else {"username": username}
        with unique_names(), transaction():
            user = lock_account(user_id)
            # The body may have arrived long after the guard's check.
            require_live(context)
            if change_names(user, names, context):
                user.updated_at = clock.now()
        return user

    def change_password(
        self, user_id: UUID, session_id: UUID | None, current: str, new: str, context: RequestContext
    ) -> None:
        """Change the password of the user's own account, and end every session except ``session_id``.

        Raises ``WrongPassword``, also if the account has no password; ``PasswordRejected``, ``TooManyRequests`` or
        ``ServiceUnavailable``.
        """
        confirmed = self._verifier.confirm(user_id, current, context, field="current_password")
        if confirmed.password_hash is None:
            raise WrongPassword
        require_acceptable(new, username=confirmed.username, email=confirmed.email, field="new_password")
        new_hash = self._hasher.hash(new)
        with transaction():
            user = _lock_if_unchanged(user_id, confirmed.password_hash)
            require_live(context)
            user.password_hash = new_hash
            user.updated_at = now = clock.now()
            ended = revocation.end_all(user_id, EndReason.PASSWORD_CHANGED, now, keep=session_id)
            audit.record(EventType.PASSWORD_CHANGED, context=context, subject_id=user_id, sessions_ended=ended)
        self._hooks.tell(hooks.password_changed, context=context, user_id=user_id)
        if ended:
            self._hooks.tell_session_ended(user_id, EndReason.PASSWORD_CHANGED, context=context)

    def close(self, user_id: UUID, password: str | None, context: RequestContext) -> None:
        """Delete the user's own account and everything that belongs to it.

        ``password`` is not needed if the account has none. Raises ``WrongPassword``, ``ValidationFailed`` if the
        password is missing, ``LastAdmin``, ``TooManyRequests`` or ``ServiceUnavailable``.
        """
        confirmed = self._verifier.confirm(user_id, password, context, field="password")
        with transaction():
            user = _lock_if_unchanged(user_id, confirmed.password_hash)
            require_live(context)
            delete_account(user, context)
        self._hooks.tell(hooks.user_deleted, context=context, user_id=user_id, username=user.username)

    def _new(self, names: UserNames, password: str | None, roles: Iterable[str] = ()) -> User:
        if password is not None:
            require_acceptable(password, username=names.username, email=names.email)
        return User(
            id=identifiers.time_ordered(),
            username=names.username,
            email=names.email,
            password_hash=None if password is None else self._hasher.hash(password),
            role_links=[UserRole(role_name=role) for role in roles],
        )

    def _tell_registered(self, user: User, context: RequestContext) -> None:
        names = {"username": user.username, "email": user.email}
        self._hooks.tell(hooks.user_registered, context=context, user_id=user.id, **names)


def checked_roles(names: Iterable[str]) -> list[str]:
    """Return the role names without duplicates. Raises ``ValidationFailed`` if one is not a valid role name."""
    distinct = list(dict.fromkeys(names))
    for name in distinct:
        try:
            checked_role_name(name)
        except ValueError:
            raise _no_such_role() from None
    return distinct


def lock_account(user: UserRef) -> User:
    """Lock the row of an account, as a login does, within the open transaction, and return the account.

    A concurrent login either commits first, and its session is visible here; or it waits, and sees the changes.

    Raises ``ResourceNotFound``.
    """
    statement = select(User).where(refers_to(user)).execution_options(populate_existing=True)
    return require_found(db.session.scalars(statement.with_for_update(key_share=True, of=User)).one_or_none(), user)


def change_names(user: User, names: Mapping[str, str], context: RequestContext) -> bool:
    """Set the ``username`` and ``email`` in ``names`` on a locked account; return whether that changed anything.

    Raises ``ValidationFailed``.
    """
    changes = {name: value for name, value in checked_names(**names).items() if value != getattr(user, name)}
    for name, value in changes.items():
        setattr(user, name, value)
    if changes:
        audit.record(EventType.USER_CHANGED, context=context, subject_id=user.id, fields=list(changes))
    return bool(changes)


def delete_account(user: User, context: RequestContext) -> None:
    """Delete a locked account, with its sessions and blocklist entries. Raises ``LastAdmin``."""
    keep_an_admin(user)
    # Sessions are deleted before the account: a logout locks its session first, and then needs the account's row.
    db.session.execute(delete(Session).where(Session.user_id == user.id))
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


class unique_names:  # noqa: N801 - a context manager, read as a phrase
    """Context manager that turns a constraint violation into the matching refusal, such as ``UsernameTaken``."""

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        """Raise the refusal, if ``error`` is a violation of a constraint in ``_REFUSED_BY``."""
        if refusal := _REFUSED_BY.get(broken_constraint(error) or ""):
            raise refusal() from None


def _no_such_role() -> ValidationFailed:
    return ValidationFailed(field_errors=[FieldError("#/roles", "There is no such role.")])


_REFUSED_BY: dict[str, Callable[[], Refusal]] = {
    "uq_users_username_key": UsernameTaken,
    "uq_users_email_key": EmailTaken,
    "fk_user_roles_role_name_roles": _no_such_role,
}


def _lock_if_unchanged(user_id: UUID, password_hash: str | None) -> User:
    """Lock and return an account. Raises ``WrongPassword`` if its hash is no longer the one that was verified."""
    user = lock_account(user_id)
    if user.password_hash != password_hash:
        raise WrongPassword
    return user
