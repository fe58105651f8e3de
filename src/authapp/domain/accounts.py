"""Accounts: who exists, and what people do with their own."""

from collections.abc import Callable, Iterable, Mapping
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.exc import IntegrityError

from authapp import clock
from authapp.domain import audit
from authapp.domain.credentials import Credentials
from authapp.domain.endings import end_sessions
from authapp.domain.identity import Identity, checked_names
from authapp.domain.origins import COMMAND_LINE, Origin
from authapp.domain.powers import Powers, keep_an_admin
from authapp.domain.transactions import transaction
from authapp.errors import (
    EmailTaken,
    Fault,
    Refusal,
    RegistrationClosed,
    ResourceNotFound,
    UsernameTaken,
    ValidationFailed,
    WrongPassword,
)
from authapp.extensions import db
from authapp.models import EndReason, EventType, Session, User, UserRole
from authapp.models.role import checked_role_name
from authapp.models.user import lookup_key
from authapp.security import identifiers


def _no_such_role() -> ValidationFailed:
    return ValidationFailed(faults=[Fault("#/roles", "There is no such role.")])


_REFUSED_BY: dict[str, Callable[[], Refusal]] = {
    "uq_users_username_key": UsernameTaken,
    "uq_users_email_key": EmailTaken,
    "fk_user_roles_role_name_roles": _no_such_role,
}

Who = UUID | str
"""An account, by its id, or by its username or email address."""


class Accounts:
    """The use cases of accounts."""

    def __init__(self, credentials: Credentials, *, registration_open: bool) -> None:
        self._credentials = credentials
        self._registration_open = registration_open

    def register(self, *, username: str, email: str, password: str, origin: Origin = COMMAND_LINE) -> User:
        """Create an account for a guest. Raises ``RegistrationClosed``, or what ``create`` raises."""
        if not self._registration_open:
            raise RegistrationClosed
        user = self._new(username, email, password)
        with unique_names(), transaction() as session:
            session.add(user)
            audit.record(EventType.USER_REGISTERED, by=origin, subject_id=user.id, actor_id=user.id)
        return user

    def create(
        self, *, username: str, email: str, password: str, roles: Iterable[str] = (), by: Origin = COMMAND_LINE
    ) -> User:
        """Create an account, with ``roles``.

        Raises ``ValidationFailed``, ``PasswordRejected``, ``UsernameTaken`` or ``EmailTaken``; ``PermissionDenied`` for
        a role that is not ``by``'s to give. Of two requests for one name at the same moment one wins: the constraint
        decides, not a question asked beforehand.
        """
        names = checked_roles(roles)
        with transaction():
            # Asked before the hash too, so that a refusal costs none.
            Powers.of(by).check_may_grant(names)
        user = self._new(username, email, password, names)
        with unique_names(), transaction() as session:
            Powers.of(by).check_may_grant(names)
            session.add(user)
            audit.record(EventType.USER_CREATED, by=by, subject_id=user.id)
            for role in names:
                audit.record(EventType.ROLE_GRANTED, by=by, subject_id=user.id, role=role)
        return user

    def find(self, who: Who) -> User:
        """Return an account. Raises ``ResourceNotFound``."""
        return found(db.session.scalars(select(User).where(is_called(who))).one_or_none(), who)

    def rename(self, user_id: UUID, username: str, origin: Origin = COMMAND_LINE) -> User:
        """Change one's own username. Raises ``ValidationFailed`` or ``UsernameTaken``."""
        with unique_names(), transaction():
            user = locked(user_id)
            if renamed(user, {"username": username}, origin):
                user.updated_at = clock.now()
        return user

    def change_password(
        self, user_id: UUID, session_id: UUID, current: str, new: str, origin: Origin = COMMAND_LINE
    ) -> None:
        """Change one's own password; every session but this one ends.

        Raises ``WrongPassword`` or ``PasswordRejected``, ``TooManyRequests`` or ``ServiceUnavailable``.
        """
        old_hash, identity = self._credentials.confirm(user_id, current, origin)
        identity.check_password(new, field="new_password")
        new_hash = self._credentials.hash(new)
        with transaction():
            user = _unchanged(user_id, old_hash)
            user.password_hash = new_hash
            user.updated_at = now = clock.now()
            ended = end_sessions(user_id, EndReason.PASSWORD_CHANGED, now, Session.id != session_id)
            audit.record(EventType.PASSWORD_CHANGED, by=origin, subject_id=user_id, sessions_ended=ended)

    def close(self, user_id: UUID, password: str, origin: Origin = COMMAND_LINE) -> None:
        """Delete one's own account, with all that belongs to it.

        Raises ``WrongPassword``, ``LastAdmin``, ``TooManyRequests`` or ``ServiceUnavailable``.
        """
        old_hash, _ = self._credentials.confirm(user_id, password, origin)
        with transaction():
            remove(_unchanged(user_id, old_hash), origin)

    def _new(self, username: str, email: str, password: str, roles: Iterable[str] = ()) -> User:
        identity = Identity.checked(username, email)
        identity.check_password(password)
        return User(
            id=identifiers.time_ordered(),
            username=identity.username,
            email=identity.email,
            password_hash=self._credentials.hash(password),
            role_links=[UserRole(role_name=role) for role in roles],
        )


def checked_roles(names: Iterable[str]) -> list[str]:
    """Return the names of roles, each once. Raises ``ValidationFailed`` for one that no role can have."""
    distinct = list(dict.fromkeys(names))
    for name in distinct:
        try:
            checked_role_name(name)
        except ValueError:
            raise _no_such_role() from None
    return distinct


def locked(who: Who) -> User:
    """Find an account and lock its row, as a login does, within the transaction that is open.

    A login in flight either commits before, and its session is seen; or waits, and finds the account changed.

    Raises ``ResourceNotFound``.
    """
    statement = select(User).where(is_called(who)).execution_options(populate_existing=True)
    return found(db.session.scalars(statement.with_for_update(key_share=True, of=User)).one_or_none(), who)


def renamed(user: User, names: Mapping[str, str], by: Origin) -> bool:
    """Give a locked account the ``username`` and ``email`` in ``names``; tell whether that changed anything.

    Raises ``ValidationFailed``.
    """
    changes = {name: value for name, value in checked_names(**names).items() if value != getattr(user, name)}
    for name, value in changes.items():
        setattr(user, name, value)
    if changes:
        audit.record(EventType.USER_CHANGED, by=by, subject_id=user.id, fields=list(changes))
    return bool(changes)


def remove(user: User, by: Origin) -> None:
    """Delete a locked account, with its sessions and all that was kept for its tokens. Raises ``LastAdmin``."""
    keep_an_admin(user)
    # Sessions before the account: a logout holds its session, and then needs the account's row to exist.
    db.session.execute(delete(Session).where(Session.user_id == user.id))
    db.session.execute(delete(User).where(User.id == user.id))
    # By name as well: whoever reads this later has no account to look the id up in.
    audit.record(EventType.USER_DELETED, by=by, subject_id=user.id, username=user.username)


def found(user: User | None, who: Who) -> User:
    """Return ``user``. Raises ``ResourceNotFound`` when there is none."""
    if user is None:
        raise ResourceNotFound(f"There is no user {who!r}." if isinstance(who, str) else "")
    return user


def is_called(who: Who) -> ColumnElement[bool]:
    """Return the condition that an account is the one meant."""
    if isinstance(who, UUID):
        return User.id == who
    return (User.email_key if "@" in who else User.username_key) == lookup_key(who)


class unique_names:  # noqa: N801 - a context manager, read as a phrase
    """Turn a constraint that is broken into the refusal that it stands for."""

    def __enter__(self) -> None:
        """Start."""

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        """Raise the refusal."""
        if isinstance(error, IntegrityError):
            constraint = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
            if refusal := _REFUSED_BY.get(constraint or ""):
                raise refusal() from None


def _unchanged(user_id: UUID, password_hash: str) -> User:
    """Lock an account whose password was verified a moment ago, and is still the same."""
    user = locked(user_id)
    if user.password_hash != password_hash:
        raise WrongPassword
    return user
