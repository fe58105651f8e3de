"""Verifying the password of an account: at login, and to confirm an action in a live session."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Executable, and_, func, literal, select, update

from authapp import clock
from authapp.context import RequestContext
from authapp.database.session import db, read_one, transaction
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.passwords.hashing import PasswordHasher
from authapp.domain.passwords.throttles import AccountThrottles, Attempt, unknown_account
from authapp.domain.sessions.authentication import PASSWORD, AuthenticationResult
from authapp.errors import FieldError, InvalidCredentials, ValidationFailed, WrongPassword
from authapp.models import LoginThrottle, ThrottleScope, User, UserStatus
from authapp.models.user import lookup_key


@dataclass(frozen=True)
class ConfirmedUser:
    """An account whose owner has just sent the right password, or that has none."""

    password_hash: str | None
    username: str
    email: str


class PasswordVerifier:
    """Verifies passwords and counts attempts."""

    def __init__(self, hasher: PasswordHasher, throttles: AccountThrottles) -> None:
        self._hasher = hasher
        self._throttles = throttles

    def verify(self, name: str, password: str, context: RequestContext) -> AuthenticationResult:
        """Authenticate the user with this username or email address.

        Raises ``InvalidCredentials``, ``TooManyRequests`` after too many failures, or ``ServiceUnavailable``. The work
        is the same whether the account is missing, disabled or without a password, or the password is wrong, so that
        the timing does not reveal which accounts exist.
        """
        key = lookup_key(name)
        unknown_id = unknown_account(key)
        row = read_one(_by_name(key, unknown_id, by_email="@" in name))
        if row is None:
            raise RuntimeError("a select without a condition has a row")
        attempt, correct, new_hash = self._try(row, row.id or unknown_id, ThrottleScope.LOGIN, password)
        if row.id is None or not correct or row.status != UserStatus.ACTIVE:
            self._record(EventType.LOGIN_REFUSED, row.id, attempt, context)
            raise InvalidCredentials
        verified_hash = row.password_hash

        def confirm(user: Any) -> bool:
            # A parallel login of the same user may already have replaced an outdated hash.
            if user.password_hash != verified_hash:
                return False
            if new_hash:
                _store_hash(user.id, new_hash)
            self._throttles.forgive(user.id, ThrottleScope.LOGIN)
            return True

        return AuthenticationResult(row.id, amr=(PASSWORD,), auth_time=clock.now(), confirm=confirm)

    def confirm(self, user_id: UUID, password: str | None, context: RequestContext, *, field: str) -> ConfirmedUser:
        """Return the account if ``password`` is right. An account without a password needs none.

        Raises ``WrongPassword``, ``ValidationFailed`` for ``field`` if the password is missing, ``TooManyRequests``, or
        ``ServiceUnavailable``.
        """
        row = read_one(_by_id(user_id))
        if row is None:
            raise WrongPassword
        confirmed = ConfirmedUser(row.password_hash, row.username, row.email)
        if row.password_hash is None:
            return confirmed
        if password is None:
            raise ValidationFailed(field_errors=[FieldError(f"#/{field}", "Missing data for required field.")])
        attempt, correct, _ = self._try(row, user_id, ThrottleScope.CONFIRMATION, password)
        if not correct:
            self._record(EventType.PASSWORD_REFUSED, user_id, attempt, context)
            raise WrongPassword
        with transaction():
            self._throttles.forgive(user_id, ThrottleScope.CONFIRMATION)
        return confirmed

    def _try(self, row: Any, account_id: UUID, scope: ThrottleScope, password: str) -> tuple[Attempt, bool, str | None]:
        self._throttles.check(row.failures, row.blocked_until)
        # The attempt is counted only after admission to the bulkhead, so that refusals with 503 are not counted.
        with self._hasher.admitted():
            attempt = self._throttles.reserve(account_id, scope)
            correct, new_hash = self._hasher.verify(password, row.password_hash)
        return attempt, correct, new_hash

    def _record(self, event_type: str, user_id: UUID | None, attempt: Attempt, context: RequestContext) -> None:
        with transaction():
            audit.record(event_type, context=context, subject_id=user_id, failures=attempt.failures)
            if attempt.is_last and user_id:
                audit.record(EventType.USER_LOCKED, context=context, subject_id=user_id)


def _store_hash(user_id: UUID, new_hash: str) -> None:
    statement = update(User).where(User.id == user_id).values(password_hash=new_hash)
    db.session.execute(statement.execution_options(synchronize_session=False))


_COLUMNS = (
    User.id,
    User.password_hash,
    User.status,
    User.username,
    User.email,
    LoginThrottle.failures,
    LoginThrottle.blocked_until,
)


def _failures(scope: ThrottleScope, account: Any) -> ColumnElement[bool]:
    return and_(LoginThrottle.account_id == account, LoginThrottle.purpose == scope)


def _by_id(user_id: UUID) -> Executable:
    throttled = select(*_COLUMNS).outerjoin(LoginThrottle, _failures(ThrottleScope.CONFIRMATION, User.id))
    return throttled.where(User.id == user_id)


def _by_name(key: str, unknown_id: UUID, *, by_email: bool) -> Executable:
    """Return the statement that reads an account and its failures, with the same work if there is no such account."""
    always = select(literal(1).label("one")).subquery()
    named = always.outerjoin(User, (User.email_key if by_email else User.username_key) == key)
    account = func.coalesce(User.id, literal(unknown_id, User.id.type))
    return select(*_COLUMNS).select_from(named.outerjoin(LoginThrottle, _failures(ThrottleScope.LOGIN, account)))
