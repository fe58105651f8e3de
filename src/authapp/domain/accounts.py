"""Accounts: who exists, and with which password."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, delete, select
from sqlalchemy.exc import IntegrityError

from authapp import clock
from authapp.domain.credentials import Credentials
from authapp.domain.endings import end_sessions
from authapp.domain.identity import Identity
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
from authapp.models import EndReason, Session, User, UserRole, UserStatus
from authapp.models.user import lookup_key
from authapp.security import identifiers

_REFUSED_BY: dict[str, Callable[[], Refusal]] = {
    "uq_users_username_key": UsernameTaken,
    "uq_users_email_key": EmailTaken,
    "fk_user_roles_role_name_roles": lambda: ValidationFailed(faults=[Fault("#/roles", "There is no such role.")]),
}


class Accounts:
    """The use cases of accounts."""

    def __init__(self, credentials: Credentials, *, registration_open: bool) -> None:
        self._credentials = credentials
        self._registration_open = registration_open

    def register(self, *, username: str, email: str, password: str) -> User:
        """Create an account for a guest. Raises ``RegistrationClosed``, or what ``create`` raises."""
        if not self._registration_open:
            raise RegistrationClosed
        return self.create(username=username, email=email, password=password)

    def create(self, *, username: str, email: str, password: str, roles: Iterable[str] = ()) -> User:
        """Create an account, with ``roles``.

        Raises ``ValidationFailed``, ``PasswordRejected``, ``UsernameTaken`` or ``EmailTaken``. Of two requests for one
        name at the same moment one wins: the constraint decides, not a question asked beforehand.
        """
        identity = Identity.checked(username, email)
        identity.check_password(password)
        user = User(
            id=identifiers.time_ordered(),
            username=identity.username,
            email=identity.email,
            password_hash=self._credentials.hash(password),
            role_links=[UserRole(role_name=role) for role in dict.fromkeys(roles)],
        )
        try:
            with transaction() as session:
                session.add(user)
        except IntegrityError as error:
            raise _refusal_for(error) from None
        return user

    def find(self, name: str) -> User:
        """Return the account with this username or email. Raises ``ResourceNotFound``."""
        return _found(select(User).where(_is_called(name)), name)

    def all(self) -> Iterator[User]:
        """Yield every account, the oldest first, without holding them all in memory."""
        yield from db.session.scalars(select(User).order_by(User.id).execution_options(yield_per=500))

    def rename(self, user_id: UUID, username: str) -> User:
        """Change a username. Raises ``ValidationFailed`` or ``UsernameTaken``."""
        try:
            with transaction():
                user = self._locked(User.id == user_id)
                user.username = Identity.checked(username, user.email).username
                user.updated_at = clock.now()
        except IntegrityError as error:
            raise _refusal_for(error) from None
        return user

    def change_password(self, user_id: UUID, session_id: UUID, current: str, new: str) -> None:
        """Change one's own password; every session but this one ends.

        Raises ``WrongPassword`` or ``PasswordRejected``.
        """
        old_hash, identity = self._credentials.confirm(user_id, current)
        identity.check_password(new, field="new_password")
        new_hash = self._credentials.hash(new)
        with transaction():
            user = self._unchanged(user_id, old_hash)
            user.password_hash = new_hash
            user.updated_at = now = clock.now()
            end_sessions(user_id, EndReason.PASSWORD_CHANGED, now, Session.id != session_id)

    def close(self, user_id: UUID, password: str) -> None:
        """Delete one's own account, with all that belongs to it. Raises ``WrongPassword``."""
        old_hash, _ = self._credentials.confirm(user_id, password)
        with transaction():
            self._remove(self._unchanged(user_id, old_hash))

    def disable(self, name: str) -> User:
        """Disable an account and end its sessions: its tokens are dead on the next request."""
        return self._change(name, EndReason.DISABLED, status=UserStatus.DISABLED)

    def enable(self, name: str) -> User:
        """Enable an account again. The sessions that disabling ended stay ended."""
        return self._change(name, None, status=UserStatus.ACTIVE)

    def set_password(self, name: str, password: str) -> User:
        """Set an account's password and end its sessions. Raises ``PasswordRejected``."""
        user = self.find(name)
        Identity(user.username, user.email).check_password(password)
        return self._change(name, EndReason.PASSWORD_CHANGED, password_hash=self._credentials.hash(password))

    def grant(self, name: str, role: str) -> User:
        """Give an account a role, unless it has it. Raises ``ValidationFailed`` for one that there is not."""
        return self._set_roles(name, lambda roles: {*roles, role})

    def revoke(self, name: str, role: str) -> User:
        """Take a role from an account, if it has it."""
        return self._set_roles(name, lambda roles: roles - {role})

    def delete(self, name: str) -> None:
        """Delete an account, with its sessions and all that was kept for its tokens."""
        with transaction():
            self._remove(self._locked(_is_called(name), name))

    def _remove(self, user: User) -> None:
        # Sessions before the account: a logout holds its session, and then needs the account's row to exist.
        db.session.execute(delete(Session).where(Session.user_id == user.id))
        db.session.execute(delete(User).where(User.id == user.id))

    def _change(self, name: str, end: EndReason | None, **values: Any) -> User:
        """Change an account, and end its sessions when a reason for that is given."""
        with transaction():
            user = self._locked(_is_called(name), name)
            for field, value in values.items():
                setattr(user, field, value)
            user.updated_at = now = clock.now()
            if end:
                end_sessions(user.id, end, now)
        return user

    def _set_roles(self, name: str, change: Callable[[set[str]], set[str]]) -> User:
        try:
            with transaction():
                user = self._locked(_is_called(name), name)
                kept = {link.role_name: link for link in user.role_links}
                user.role_links = [kept.get(role, UserRole(role_name=role)) for role in change(set(kept))]
        except IntegrityError as error:
            raise _refusal_for(error) from None
        return user

    def _locked(self, condition: ColumnElement[bool], name: str = "") -> User:
        """Find an account and lock its row, as a login does.

        A login in flight either commits before, and its session is seen; or waits, and finds the account changed.
        """
        statement = select(User).where(condition).execution_options(populate_existing=True)
        return _found(statement.with_for_update(key_share=True, of=User), name)

    def _unchanged(self, user_id: UUID, password_hash: str) -> User:
        """Lock an account whose password was verified a moment ago, and is still the same."""
        user = self._locked(User.id == user_id)
        if user.password_hash != password_hash:
            raise WrongPassword
        return user


def _found(statement: Select[Any], name: str) -> User:
    user: User | None = db.session.scalars(statement).one_or_none()
    if user is None:
        raise ResourceNotFound(f"There is no user {name!r}." if name else "")
    return user


def _is_called(name: str) -> ColumnElement[bool]:
    return (User.email_key if "@" in name else User.username_key) == lookup_key(name)


def _refusal_for(error: IntegrityError) -> Exception:
    constraint = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    refusal = _REFUSED_BY.get(constraint or "")
    return refusal() if refusal else error
