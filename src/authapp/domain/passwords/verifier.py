"""Verifying the password of an account: at login, and to confirm an action in a live session."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, bindparam, func, literal, select, update

from authapp import clock
from authapp.context import RequestContext
from authapp.database.fast_path import FastPath, PreparedStatement
from authapp.database.session import read_one, transaction
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.passwords.hashing import PasswordHasher
from authapp.domain.passwords.response_floor import ResponseFloor
from authapp.domain.sessions.authentication import PASSWORD, AuthenticationResult
from authapp.domain.throttle_scopes import CONFIRMATION, LOGIN_BY_EMAIL, LOGIN_BY_USERNAME, ThrottleScope
from authapp.domain.throttles import Attempt, Throttles, unknown_account
from authapp.errors import FieldError, InvalidCredentials, ValidationFailed, WrongPassword
from authapp.models import ForeignHashMark, Throttle, User, UserKind, UserStatus
from authapp.models.user import lookup_key


@dataclass(frozen=True)
class ConfirmedUser:
    """An account whose owner has just sent the right password, or that has none.

    ``account_version`` is ``users.updated_at``, as in ``AuthenticationResult``.
    """

    password_hash: str | None
    username: str
    email: str | None
    account_version: datetime


class PasswordVerifier:
    """Verifies passwords and counts attempts."""

    def __init__(
        self,
        hasher: PasswordHasher,
        throttles: Throttles,
        fast_path: FastPath,
        *,
        verified_addresses: bool,
        floor: ResponseFloor,
    ) -> None:
        """With ``verified_addresses``, an account of which no address was ever verified has its username alone.

        While any account may have a foreign hash, ``verify`` refuses at ``floor``: such hashes cost other than ours.
        """
        self._hasher = hasher
        self._floor = floor
        self._throttles = throttles
        self._fast_path = fast_path
        by_email = _BY_VERIFIED_EMAIL if verified_addresses else _BY_EMAIL
        self._lookups = {LOGIN_BY_USERNAME: _BY_USERNAME, LOGIN_BY_EMAIL: by_email}

    def verify(self, name: str, password: str, context: RequestContext, *, release: bool) -> AuthenticationResult:
        """Authenticate the user with this username or email address.

        With ``release``, a right password releases its own attempt at once, and no other. Otherwise it stays counted
        until ``sessions.start`` or ``reset_failures`` resets all failures under this name.

        Raises ``InvalidCredentials``, ``TooManyRequests`` after too many failures, or ``ServiceUnavailable``. The work
        is the same whether the account is missing, disabled or without a password, or the password is wrong, so that
        the timing does not reveal which accounts exist.
        """
        start = self._floor.start()
        key = lookup_key(name)
        unknown_id = unknown_account(key)
        scope = LOGIN_BY_EMAIL if "@" in name else LOGIN_BY_USERNAME
        row = self._fast_path.read(self._lookups[scope], {"key": key, "unknown_id": unknown_id})
        if row is None:
            raise RuntimeError("a select without a condition has a row")
        is_active = row.id is not None and row.status == UserStatus.ACTIVE
        # An attempt at an account that is not active stays counted: it is refused like a wrong password.
        is_released = release and is_active
        attempt, correct, new_hash = self._try(row, row.id or unknown_id, scope, password, context, is_released)
        if not correct or not is_active:
            self._record_refused_login(row.id, attempt, scope, context)
            if row.any_foreign_hash:
                self._floor.wait(start)
            raise InvalidCredentials
        if new_hash:
            _replace_hash(row.id, row.password_hash, new_hash)
        return AuthenticationResult(
            row.id,
            (PASSWORD,),
            auth_time=clock.now(),
            account_version=row.updated_at,
            throttle_scope=None if release else scope,
        )

    def confirm(self, user_id: UUID, password: str | None, context: RequestContext, *, field: str) -> ConfirmedUser:
        """Return the account if ``password`` is right. An account without a password needs none.

        Attempts are counted by session. So the thief of a token, who cannot start another session, has few guesses, and
        does not lock out the owner, who can. Attempts without a session are counted by account.

        Raises ``WrongPassword``, ``ValidationFailed`` for ``field`` if the password is missing, ``TooManyRequests``, or
        ``ServiceUnavailable``.
        """
        counted_id = context.session_id or user_id
        row = read_one(_BY_ID, {"user_id": user_id, "counted_id": counted_id})
        if row is None:
            raise WrongPassword
        confirmed = ConfirmedUser(row.password_hash, row.username, row.email, row.updated_at)
        if row.password_hash is None:
            return confirmed
        if password is None:
            raise ValidationFailed(field_errors=[FieldError(f"#/{field}", "Missing data for required field.")])
        attempt, correct, _ = self._try(row, counted_id, CONFIRMATION, password, context)
        if not correct:
            with transaction():
                refused = EventType.PASSWORD_REFUSED
                audit.record(refused, context=context, subject_id=user_id, failures=attempt.failures)
            raise WrongPassword
        with transaction():
            self._throttles.reset_failures(counted_id, CONFIRMATION)
        return confirmed

    def reauthenticate(self, user_id: UUID, password: str, context: RequestContext) -> AuthenticationResult:
        """Authenticate the user of a live session again. Raises what ``confirm`` raises.

        An account without a password is refused as ``WrongPassword``: nothing was proven.
        """
        confirmed = self.confirm(user_id, password, context, field="password")
        if confirmed.password_hash is None:
            raise WrongPassword("This account has no password.")
        return AuthenticationResult(
            user_id, (PASSWORD,), auth_time=clock.now(), account_version=confirmed.account_version
        )

    def reset_failures(self, result: AuthenticationResult) -> None:
        """Reset the failures that ``verify`` left counted, where no session starts."""
        if result.throttle_scope is not None:
            with transaction():
                self._throttles.reset_failures(result.user_id, result.throttle_scope)

    def _try(
        self,
        row: Any,
        counted_id: UUID,
        scope: ThrottleScope,
        password: str,
        context: RequestContext,
        release: bool = False,
    ) -> tuple[Attempt, bool, str | None]:
        self._throttles.check(scope, row.failures, row.blocked_until)
        # Counted only when its turn has come: not if it is refused with 503, or if its client has gone.
        with self._hasher.turn(context):
            attempt = self._throttles.reserve(counted_id, scope)
            correct, new_hash = self._hasher.verify(password, row.password_hash)
            # Within the turn: of right passwords at once, no more count as failures than are hashed at once.
            if correct and release:
                self._throttles.release(counted_id, scope, attempt)
        return attempt, correct, new_hash

    def _record_refused_login(
        self, user_id: UUID | None, attempt: Attempt, scope: ThrottleScope, context: RequestContext
    ) -> None:
        with transaction():
            audit.record(EventType.LOGIN_REFUSED, context=context, subject_id=user_id, failures=attempt.failures)
            if attempt.is_last and user_id:
                name = "email" if scope is LOGIN_BY_EMAIL else "username"
                audit.record(EventType.USER_LOCKED, context=context, subject_id=user_id, name=name)


def _replace_hash(user_id: UUID, outdated: str, new_hash: str) -> None:
    # Only the hash that was verified: a parallel login may have replaced it, or its owner may have a new password.
    statement = update(User).where(User.id == user_id, User.password_hash == outdated).values(password_hash=new_hash)
    with transaction() as session:
        session.execute(statement.execution_options(synchronize_session=False))


_USERS, _THROTTLES = User.__table__, Throttle.__table__
_COLUMNS = (
    *(_USERS.c[name] for name in ("id", "password_hash", "status", "username", "email", "updated_at")),
    *(_THROTTLES.c[name] for name in ("failures", "blocked_until")),
)


def _failures(scope: ThrottleScope, account: Any) -> ColumnElement[bool]:
    return and_(_THROTTLES.c.counted_id == account, _THROTTLES.c.scope == scope.name)


def _lookup(key: ColumnElement[str], scope: ThrottleScope, *conditions: ColumnElement[bool]) -> PreparedStatement:
    """Return the statement that reads an account and its failures, with the same work if there is no such account."""
    always = select(literal(1).label("one")).subquery()
    # Nobody logs in to the account of a service, so nobody can lock it either.
    is_person = _USERS.c.kind == UserKind.PERSON
    named = always.outerjoin(_USERS, and_(key == bindparam("key"), is_person, *conditions))
    account = func.coalesce(_USERS.c.id, bindparam("unknown_id", type_=_USERS.c.id.type))
    throttled = named.outerjoin(_THROTTLES, _failures(scope, account))
    return PreparedStatement(
        select(*_COLUMNS, ForeignHashMark.is_set().label("any_foreign_hash")).select_from(throttled)
    )


_BY_USERNAME = _lookup(_USERS.c.username_key, LOGIN_BY_USERNAME)
_BY_EMAIL = _lookup(_USERS.c.email_key, LOGIN_BY_EMAIL)
# Where addresses must be verified, a guest who registers an address and then logs in with it must not learn whether it
# was free. So it is unknown until it is verified, also to the count of failures, which the account would begin anew.
_BY_VERIFIED_EMAIL = _lookup(_USERS.c.email_key, LOGIN_BY_EMAIL, _USERS.c.first_verified_at.is_not(None))
_BY_ID = (
    select(*_COLUMNS)
    .select_from(_USERS.outerjoin(_THROTTLES, _failures(CONFIRMATION, bindparam("counted_id"))))
    .where(_USERS.c.id == bindparam("user_id"))
)
