"""Accounts: who exists, and with which password."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, bindparam, delete, select, update
from sqlalchemy.exc import IntegrityError

from authapp import clock
from authapp.domain.identity import Identity
from authapp.domain.transactions import transaction
from authapp.errors import (
    EmailTaken,
    InvalidCredentials,
    Refusal,
    RegistrationClosed,
    ResourceNotFound,
    UsernameTaken,
)
from authapp.extensions import db
from authapp.models import Session, User, UserStatus
from authapp.models.user import folded
from authapp.security import identifiers
from authapp.security.passwords import Passwords

_UNIQUE: dict[str, type[Refusal]] = {
    "uq_users_username_key": UsernameTaken,
    "uq_users_email_key": EmailTaken,
}


@dataclass(frozen=True)
class Proof:
    """That somebody knew the password of this account a moment ago.

    ``password_hash`` is the stored hash that was matched, ``new_hash`` the one to store when that is outdated.
    """

    user_id: UUID
    password_hash: str
    new_hash: str | None


class Accounts:
    """The use cases of accounts."""

    def __init__(self, passwords: Passwords, *, registration_open: bool) -> None:
        self._passwords = passwords
        self._registration_open = registration_open

    def register(self, *, username: str, email: str, password: str) -> User:
        """Create an account for a guest. Raises ``RegistrationClosed``, or what ``create`` raises."""
        if not self._registration_open:
            raise RegistrationClosed
        return self.create(username=username, email=email, password=password)

    def create(self, *, username: str, email: str, password: str) -> User:
        """Create an account.

        Raises ``ValidationFailed``, ``PasswordRejected``, ``UsernameTaken`` or ``EmailTaken``. Of two requests for one
        name at the same moment one wins: the constraint decides, not a question asked beforehand.
        """
        identity = Identity.checked(username, email)
        identity.check_password(password)
        user = User(
            id=identifiers.time_ordered(),
            username=identity.username,
            email=identity.email,
            password_hash=self._passwords.hash(password),
        )
        try:
            with transaction() as session:
                session.add(user)
        except IntegrityError as error:
            raise _refusal_for(error) from None
        return user

    def prove(self, name: str, password: str) -> Proof:
        """Return the proof that ``password`` opens the account with this username or email.

        Raises ``InvalidCredentials``, after the same work whether the account is missing or disabled or the password
        wrong. No connection is held while the hash is computed.
        """
        # The kind of name decides the column: one statement, whatever was typed.
        statement = _BY_EMAIL if "@" in name else _BY_USERNAME
        row = db.read_one(statement, {"key": folded(name)})
        correct, new_hash = self._passwords.verify(password, row.password_hash if row else None)
        if row is None or not correct or row.status != UserStatus.ACTIVE:
            raise InvalidCredentials
        return Proof(row.id, row.password_hash, new_hash)

    def find(self, name: str) -> User:
        """Return the account with this username or email. Raises ``ResourceNotFound``."""
        return _found(select(User).where(_is_called(name)), name)

    def all(self) -> Iterator[User]:
        """Yield every account, the oldest first, without holding them all in memory."""
        yield from db.session.scalars(select(User).order_by(User.id).execution_options(yield_per=500))

    def disable(self, name: str) -> User:
        """Disable an account and end its sessions: its tokens are dead on the next request."""
        return self._change(name, end_sessions=True, status=UserStatus.DISABLED)

    def enable(self, name: str) -> User:
        """Enable an account again. The sessions that disabling ended stay ended."""
        return self._change(name, end_sessions=False, status=UserStatus.ACTIVE)

    def set_password(self, name: str, password: str) -> User:
        """Set an account's password and end its sessions. Raises ``PasswordRejected``."""
        user = self.find(name)
        Identity(user.username, user.email).check_password(password)
        return self._change(name, end_sessions=True, password_hash=self._passwords.hash(password))

    def delete(self, name: str) -> None:
        """Delete an account, with its sessions and all that was kept for its tokens."""
        with transaction() as session:
            user = self._locked(name)
            # Sessions before the account: a logout holds its session, and then needs the account's row to exist.
            session.execute(delete(Session).where(Session.user_id == user.id))
            session.execute(delete(User).where(User.id == user.id))

    def _change(self, name: str, *, end_sessions: bool, **values: Any) -> User:
        with transaction() as session:
            user = self._locked(name)
            for field, value in values.items():
                setattr(user, field, value)
            user.updated_at = clock.now()
            if end_sessions:
                session.execute(
                    update(Session)
                    .where(Session.user_id == user.id, Session.ended_at.is_(None))
                    .values(ended_at=clock.now())
                )
        return user

    def _locked(self, name: str) -> User:
        """Find an account and lock its row, as a login does.

        A login in flight either commits before, and its session is seen; or waits, and finds the account changed.
        """
        statement = select(User).where(_is_called(name)).execution_options(populate_existing=True)
        return _found(statement.with_for_update(key_share=True), name)


def _found(statement: Select[Any], name: str) -> User:
    user: User | None = db.session.scalars(statement).one_or_none()
    if user is None:
        raise ResourceNotFound(f"There is no user {name!r}.")
    return user


def _is_called(name: str) -> ColumnElement[bool]:
    return (User.email_key if "@" in name else User.username_key) == folded(name)


def _refusal_for(error: IntegrityError) -> Exception:
    constraint = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    refusal = _UNIQUE.get(constraint or "")
    return refusal() if refusal else error


_CREDENTIALS = select(User.id, User.password_hash, User.status)
_BY_USERNAME = _CREDENTIALS.where(User.username_key == bindparam("key"))
_BY_EMAIL = _CREDENTIALS.where(User.email_key == bindparam("key"))
