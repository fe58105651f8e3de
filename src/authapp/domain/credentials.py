"""Credentials: whether somebody knows the password of an account."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Text, and_, bindparam, func, literal, select
from sqlalchemy.orm import InstrumentedAttribute

from authapp.database import deadline
from authapp.database.prepared import Prepared
from authapp.domain import audit
from authapp.domain.identity import Identity
from authapp.domain.origins import Origin
from authapp.domain.throttles import Attempt, LoginThrottles, unknown_account
from authapp.domain.transactions import transaction
from authapp.errors import InvalidCredentials, WrongPassword
from authapp.extensions import db
from authapp.models import EventType, LoginThrottle, Purpose, User, UserStatus
from authapp.models.user import lookup_key
from authapp.security.bulkhead import Bulkhead
from authapp.security.passwords import Passwords

T = TypeVar("T")


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

    def __init__(self, passwords: Passwords, bulkhead: Bulkhead, throttles: LoginThrottles) -> None:
        self._passwords = passwords
        self._bulkhead = bulkhead
        self._throttles = throttles

    def hash(self, password: str) -> str:
        """Return the hash of a new password. Raises ``ServiceUnavailable`` when too many are being computed."""
        with self._bulkhead.place():
            return self._compute(self._passwords.hash, password)

    def prove(self, name: str, password: str, origin: Origin) -> Proof:
        """Return the proof that ``password`` opens the account with this username or email.

        Raises ``InvalidCredentials``, after the same work whether the account is missing or disabled or the password
        wrong; ``TooManyRequests`` after too many of those; ``ServiceUnavailable``.
        """
        key = lookup_key(name)
        nobody = unknown_account(key)
        # The kind of name decides the column: one statement, whatever was typed.
        row = db.read_one(_BY_EMAIL if "@" in name else _BY_USERNAME, {"key": key, "nobody": nobody})
        if row is None:
            raise RuntimeError("a select without a condition has a row")
        attempt, correct, new_hash = self._try(row, row.id or nobody, Purpose.LOGIN, password)
        if row.id is None or not correct or row.status != UserStatus.ACTIVE:
            self._record(EventType.LOGIN_REFUSED, row.id, attempt, origin)
            raise InvalidCredentials
        return Proof(row.id, row.password_hash, new_hash)

    def confirm(self, user_id: UUID, password: str, origin: Origin) -> tuple[str, Identity]:
        """Return the stored hash that ``password`` matches, and whose it is.

        Raises ``WrongPassword``, and what ``prove`` raises beside it.
        """
        row = db.read_one(_BY_ID, {"id": user_id})
        if row is None:
            raise WrongPassword
        attempt, correct, _ = self._try(row, user_id, Purpose.CONFIRMATION, password)
        if not correct:
            self._record(EventType.PASSWORD_REFUSED, user_id, attempt, origin)
            raise WrongPassword
        self._throttles.forgive_now(user_id, Purpose.CONFIRMATION)
        return row.password_hash, Identity(row.username, row.email)

    def forgive(self, user_id: UUID, *purposes: Purpose) -> bool:
        """Forget the failures of an account, within the transaction that is open; tell whether there were any.

        Without ``purposes``, all of them.
        """
        return self._throttles.forgive(user_id, *purposes or Purpose)

    def _try(self, row: Any, account_id: UUID, purpose: Purpose, password: str) -> tuple[Attempt, bool, str | None]:
        self._throttles.check(row.failures, row.blocked_until)
        # The place comes before the count: nobody is charged for an attempt that the service had no time for.
        with self._bulkhead.place():
            attempt = self._throttles.reserve(account_id, purpose)
            correct, new_hash = self._compute(self._passwords.verify, password, row.password_hash)
        return attempt, correct, new_hash

    def _compute(self, work: Callable[..., T], *arguments: object) -> T:
        with deadline.paused():
            return self._bulkhead.run(work, *arguments)

    def _record(self, event: EventType, user_id: UUID | None, attempt: Attempt, origin: Origin) -> None:
        with transaction():
            audit.record(event, by=origin, subject_id=user_id, failures=attempt.failures)
            if attempt.is_last and user_id:
                audit.record(EventType.USER_LOCKED, by=origin, subject_id=user_id)


_COLUMNS = (
    User.id,
    User.password_hash,
    User.status,
    User.username,
    User.email,
    LoginThrottle.failures,
    LoginThrottle.blocked_until,
)


def _failures(purpose: Purpose, account: Any) -> ColumnElement[bool]:
    return and_(LoginThrottle.account_id == account, LoginThrottle.purpose == literal(purpose, Text))


_BY_ID = Prepared(
    select(*_COLUMNS)
    .outerjoin(LoginThrottle, _failures(Purpose.CONFIRMATION, User.id))
    .where(User.id == bindparam("id"))
)
_ALWAYS = select(literal(1).label("one")).subquery()


def _by(key: InstrumentedAttribute[str]) -> Prepared:
    """Return the statement that finds an account, or none, and the failures of either, with the same work."""
    account = func.coalesce(User.id, bindparam("nobody", type_=User.id.type))
    named = _ALWAYS.outerjoin(User, key == bindparam("key"))
    throttled = named.outerjoin(LoginThrottle, _failures(Purpose.LOGIN, account))
    return Prepared(select(*_COLUMNS).select_from(throttled))


_BY_USERNAME, _BY_EMAIL = _by(User.username_key), _by(User.email_key)
