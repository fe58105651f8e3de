"""Credentials: whether somebody knows the password of an account."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import bindparam, select

from authapp.domain.identity import Identity
from authapp.errors import InvalidCredentials, WrongPassword
from authapp.extensions import db
from authapp.models import User, UserStatus
from authapp.models.user import lookup_key
from authapp.security.passwords import Passwords


@dataclass(frozen=True)
class Proof:
    """That somebody knew the password of this account a moment ago.

    ``password_hash`` is the stored hash that was matched, ``new_hash`` the one to store when that is outdated.
    """

    user_id: UUID
    password_hash: str
    new_hash: str | None


class Credentials:
    """Asks for passwords, and hashes new ones. No connection is held while a hash is computed."""

    def __init__(self, passwords: Passwords) -> None:
        self._passwords = passwords

    def hash(self, password: str) -> str:
        """Return the hash of a new password."""
        return self._passwords.hash(password)

    def prove(self, name: str, password: str) -> Proof:
        """Return the proof that ``password`` opens the account with this username or email.

        Raises ``InvalidCredentials``, after the same work whether the account is missing or disabled or the password
        wrong.
        """
        # The kind of name decides the column: one statement, whatever was typed.
        row = db.read_one(_BY_EMAIL if "@" in name else _BY_USERNAME, {"key": lookup_key(name)})
        correct, new_hash = self._passwords.verify(password, row.password_hash if row else None)
        if row is None or not correct or row.status != UserStatus.ACTIVE:
            raise InvalidCredentials
        return Proof(row.id, row.password_hash, new_hash)

    def confirm(self, user_id: UUID, password: str) -> tuple[str, Identity]:
        """Return the stored hash that ``password`` matches, and whose it is. Raises ``WrongPassword``."""
        row = db.read_one(_BY_ID, {"id": user_id})
        correct, _ = self._passwords.verify(password, row.password_hash if row else None)
        if row is None or not correct:
            raise WrongPassword
        return row.password_hash, Identity(row.username, row.email)


_CREDENTIALS = select(User.id, User.password_hash, User.status, User.username, User.email)
_BY_ID = _CREDENTIALS.where(User.id == bindparam("id"))
_BY_USERNAME = _CREDENTIALS.where(User.username_key == bindparam("key"))
_BY_EMAIL = _CREDENTIALS.where(User.email_key == bindparam("key"))
