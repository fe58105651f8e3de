"""Limits on password guessing: consecutive failures are counted, and each makes the next delay longer.

Logins are counted by name, of which an account has two, and confirmations by session.

An attempt is counted in one atomic statement before the password is checked, and the count is reset if the password is
right. So parallel guesses cannot bypass the limit: of two hundred at once, only as many as allowed are checked.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from sqlalchemy import ColumnElement, Interval, bindparam, case, delete, exists, func, select
from sqlalchemy.dialects.postgresql import insert

from authapp import clock
from authapp.database.fast_path import FastPath, PreparedStatement
from authapp.database.session import db, read_one
from authapp.domain.pruning import Prunable, prunables
from authapp.errors import Quota, Refusal, TooManyRequests
from authapp.models import LoginThrottle, ThrottleScope, User

FIRST_DELAY = timedelta(seconds=1)
LONGEST_DELAY = timedelta(minutes=15)
NAMES_PER_ACCOUNT = 2
_DOUBLINGS = math.ceil(math.log2(LONGEST_DELAY / FIRST_DELAY))

UNKNOWN_NAME_RETENTION = timedelta(days=30)
"""How long the failures of an unknown name, and of a session, are kept after the last attempt."""

_LOCKED_SESSION = "There were too many wrong passwords in this session: log in again."
_LOCKED_NAME = "There were too many failed attempts under this name: only an administrator can open it again."


def _forgotten(now: datetime) -> ColumnElement[bool]:
    # Only counters of unknown names, deleted accounts and sessions. A counter may keep an existing account locked.
    unowned = ~exists().where(User.id == LoginThrottle.account_id)
    return unowned & (LoginThrottle.last_attempt_at < now - UNKNOWN_NAME_RETENTION)


prunables.register("login_throttles", Prunable("limits", LoginThrottle.last_attempt_at, _forgotten))


def unknown_account(key: str) -> UUID:
    """Return the id under which failures for an unknown name are counted; ``key`` is the name's lookup key."""
    return UUID(bytes=sha256(b"authapp unknown account\0" + key.encode("utf-8", "surrogatepass")).digest()[:16])


@dataclass(frozen=True)
class Attempt:
    """A counted attempt: the number of failures including it, and whether it was the last one allowed."""

    failures: int
    is_last: bool


class AccountThrottles:
    """Counts password attempts."""

    def __init__(self, fast_path: FastPath, *, free_failures: int, max_failures: int) -> None:
        """Take the number of failures after which delays begin, and after which an account is locked.

        An account is locked name by name, and each name gets its share, so that all together are no more than allowed.
        """
        self._fast_path = fast_path
        self._max = max(1, max_failures // NAMES_PER_ACCOUNT)
        self._reserve = _reservation(free_failures, self._max)

    def check(self, scope: str, failures: int | None, blocked_until: datetime | None) -> None:
        """Raise ``TooManyRequests`` if an account with this state is locked or must wait."""
        if failures is not None and failures >= self._max:
            raise _refusal(LONGEST_DELAY, _LOCKED_SESSION if scope == ThrottleScope.CONFIRMATION else _LOCKED_NAME)
        if blocked_until is not None and blocked_until > (now := clock.now()):
            raise _refusal(blocked_until - now)

    def reserve(self, account_id: UUID, scope: str) -> Attempt:
        """Count an attempt before its password is checked. Raises ``TooManyRequests``."""
        now = clock.now()
        parameters = {"account_id": account_id, "scope": scope, "now": now}
        row = self._fast_path.write(self._reserve, parameters)
        if row is None:
            columns = select(LoginThrottle.failures, LoginThrottle.blocked_until)
            state = read_one(columns.where(LoginThrottle.account_id == account_id, LoginThrottle.scope == scope))
            self.check(scope, *(state or (None, now + FIRST_DELAY)))
            raise _refusal(FIRST_DELAY)
        return Attempt(row.failures, row.failures >= self._max)

    def forgive(self, account_id: UUID, *scopes: str) -> bool:
        """Reset the failures of an account within the open transaction; return whether there were any.

        Without ``scopes``, those of every scope.
        """
        deleted = delete(LoginThrottle).where(LoginThrottle.account_id == account_id).returning(LoginThrottle.scope)
        if scopes:
            deleted = deleted.where(LoginThrottle.scope.in_(scopes))
        return bool(db.session.scalars(deleted.execution_options(synchronize_session=False)).all())


def _refusal(wait: timedelta, sentence: str = "There were too many failed attempts.") -> Refusal:
    seconds = math.ceil(wait.total_seconds())
    return TooManyRequests(sentence, retry_after=seconds, quota=Quota(name="account", amount=1, seconds=seconds))


def _reservation(free: int, most: int) -> PreparedStatement:
    """Return the statement that counts an attempt. It returns no row if the account is locked or must wait.

    If two run at once, the second waits for the first, and PostgreSQL evaluates its conditions on the updated row.
    """
    now = bindparam("now", type_=LoginThrottle.last_attempt_at.type)
    failures = LoginThrottle.failures + 1
    exponent = func.least(func.greatest(failures - free, 0), _DOUBLINGS)
    seconds = func.least(func.power(2, exponent) * FIRST_DELAY.total_seconds(), LONGEST_DELAY.total_seconds())
    delay = func.make_interval(0, 0, 0, 0, 0, 0, seconds, type_=Interval)
    statement = insert(LoginThrottle).values(
        account_id=bindparam("account_id"),
        scope=bindparam("scope"),
        failures=1,
        last_attempt_at=now,
        blocked_until=now + FIRST_DELAY if free <= 1 else None,
    )
    counted = statement.on_conflict_do_update(
        index_elements=[LoginThrottle.account_id, LoginThrottle.scope],
        set_={
            "failures": failures,
            "last_attempt_at": now,
            "blocked_until": case((failures >= free, now + delay), else_=None),
        },
        where=(LoginThrottle.failures < most) & func.coalesce(LoginThrottle.blocked_until <= now, True),
    )
    return PreparedStatement(counted.returning(LoginThrottle.failures))
