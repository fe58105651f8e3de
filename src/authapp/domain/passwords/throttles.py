"""Limits on guessing at one account: consecutive failures are counted, and each delays the next attempt for longer.

An attempt is counted before the password is looked at, in one atomic statement, and given back when it was right.
So guesses in parallel cannot slip past: of two hundred at once no more are looked at than the limit allows.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from sqlalchemy import Interval, bindparam, case, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from authapp import clock
from authapp.database.fast_path import FastPath, PreparedStatement
from authapp.database.session import db, read_one
from authapp.errors import Quota, Refusal, TooManyRequests
from authapp.models import LoginThrottle, ThrottleScope

FIRST_DELAY = timedelta(seconds=1)
LONGEST_DELAY = timedelta(minutes=15)
_DOUBLINGS = math.ceil(math.log2(LONGEST_DELAY / FIRST_DELAY))


def unknown_account(key: str) -> UUID:
    """Return the id that stands for the account of a name that nobody has; ``key`` is the name's lookup key."""
    return UUID(bytes=sha256(b"authapp unknown account\0" + key.encode("utf-8", "surrogatepass")).digest()[:16])


@dataclass(frozen=True)
class Attempt:
    """An attempt that was counted: the account's failures with it, and whether it was the last one allowed."""

    failures: int
    is_last: bool


class AccountThrottles:
    """Counts the attempts at passwords, by account."""

    def __init__(self, fast_path: FastPath, *, free_failures: int, max_failures: int) -> None:
        """Take after how many failures the delays begin, and after how many the account is locked."""
        self._fast_path = fast_path
        self._max = max_failures
        self._reserve = _reservation(free_failures, max_failures)

    def check(self, failures: int | None, blocked_until: datetime | None) -> None:
        """Raise ``TooManyRequests`` when an account with this state may not be tried now."""
        if failures is not None and failures >= self._max:
            raise _refusal(
                LONGEST_DELAY,
                "There were too many failed attempts at this account: only an administrator can open it again.",
            )
        if blocked_until is not None and blocked_until > (now := clock.now()):
            raise _refusal(blocked_until - now)

    def reserve(self, account_id: UUID, scope: ThrottleScope) -> Attempt:
        """Count an attempt at an account, before its password is looked at. Raises ``TooManyRequests``."""
        now = clock.now()
        parameters = {"account_id": account_id, "purpose": scope, "now": now}
        row = self._fast_path.write(self._reserve, parameters)
        if row is None:
            columns = select(LoginThrottle.failures, LoginThrottle.blocked_until)
            state = read_one(columns.where(LoginThrottle.account_id == account_id, LoginThrottle.purpose == scope))
            self.check(*(state or (None, now + FIRST_DELAY)))
            raise _refusal(FIRST_DELAY)
        return Attempt(row.failures, row.failures >= self._max)

    def forgive(self, account_id: UUID, *scopes: ThrottleScope) -> bool:
        """Forget the failures of an account, within the open transaction; tell whether there were any."""
        which = (LoginThrottle.account_id == account_id, LoginThrottle.purpose.in_(scopes or ThrottleScope))
        deleted = delete(LoginThrottle).where(*which).returning(LoginThrottle.purpose)
        return bool(db.session.scalars(deleted.execution_options(synchronize_session=False)).all())


def _refusal(wait: timedelta, sentence: str = "There were too many failed attempts at this account.") -> Refusal:
    seconds = math.ceil(wait.total_seconds())
    return TooManyRequests(sentence, retry_after=seconds, quota=Quota(name="account", amount=1, seconds=seconds))


def _reservation(free: int, most: int) -> PreparedStatement:
    """Return the statement that counts an attempt; it returns no row when the account may not be tried now.

    Of two at one moment the second waits for the first, and PostgreSQL evaluates its conditions on what that wrote.
    """
    now = bindparam("now", type_=LoginThrottle.last_attempt_at.type)
    failures = LoginThrottle.failures + 1
    exponent = func.least(func.greatest(failures - free, 0), _DOUBLINGS)
    seconds = func.least(func.power(2, exponent) * FIRST_DELAY.total_seconds(), LONGEST_DELAY.total_seconds())
    delay = func.make_interval(0, 0, 0, 0, 0, 0, seconds, type_=Interval)
    statement = insert(LoginThrottle).values(
        account_id=bindparam("account_id"),
        purpose=bindparam("purpose"),
        failures=1,
        last_attempt_at=now,
        blocked_until=now + FIRST_DELAY if free <= 1 else None,
    )
    counted = statement.on_conflict_do_update(
        index_elements=[LoginThrottle.account_id, LoginThrottle.purpose],
        set_={
            "failures": failures,
            "last_attempt_at": now,
            "blocked_until": case((failures >= free, now + delay), else_=None),
        },
        where=(LoginThrottle.failures < most) & func.coalesce(LoginThrottle.blocked_until <= now, True),
    )
    return PreparedStatement(counted.returning(LoginThrottle.failures))
