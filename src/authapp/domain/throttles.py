"""Throttles: failed attempts are counted, each makes the next delay longer, and too many lock an account or session.

Failures are counted by scope, which is what the attempts are for (``domain/throttle_scopes.py``), and by
``counted_id``: an account, a session or an unknown name.

- ``reserve`` counts an attempt, in one atomic statement, before the password or code is checked. So parallel guesses
  cannot bypass the limit: of two hundred at once, only as many as allowed are checked.
- ``reset_failures`` sets the failures in one scope to zero: a login does so. ``reset_failures_of_first_factors`` does
  it for all that a new password puts right, and ``reset_all_failures`` for everything.
- ``release`` subtracts one reserved attempt, and leaves the failures before it: after a right password that is sent
  with a single request (HTTP Basic), or when an error kept a code from being checked.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from sqlalchemy import ColumnElement, Interval, Select, bindparam, case, delete, exists, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from authapp import clock
from authapp.config import NAMES_PER_ACCOUNT
from authapp.database.fast_path import FastPath, PreparedStatement
from authapp.database.session import db, read_one, server_now, transaction
from authapp.domain.pruning import BATCH, Prunable
from authapp.domain.throttle_scopes import ThrottleScope, second_factor_scopes, throttle_scopes
from authapp.errors import Quota, Refusal, TooManyRequests
from authapp.models import Throttle, User

FIRST_DELAY = timedelta(seconds=1)
MAX_DELAY = timedelta(minutes=15)
_DOUBLINGS = math.ceil(math.log2(MAX_DELAY / FIRST_DELAY))

RETENTION = timedelta(days=30)
"""How long failures are kept after the last attempt, unless they lock an account."""

_KEY = (Throttle.counted_id, Throttle.scope)


def unknown_account(key: str) -> UUID:
    """Return the id under which failures for an unknown name are counted; ``key`` is the name's lookup key."""
    return UUID(bytes=sha256(b"authapp unknown account\0" + key.encode("utf-8", "surrogatepass")).digest()[:16])


@dataclass(frozen=True)
class Attempt:
    """A counted attempt: when, the number of failures including it, and whether it was the last one allowed."""

    counted_at: datetime
    failures: int
    is_last: bool


@dataclass(frozen=True, kw_only=True)
class _PrunableThrottles(Prunable):
    """The failures that are due. Those that are kept become due later: else each run would read all that ever were."""

    locked_from: int
    """The number of failures that lock."""

    def delete_rows(self, condition: ColumnElement[bool]) -> int:
        """Delete the rows that meet ``condition``, without those that are kept; return their number."""
        statement, later, total = self._batch_statement(condition), server_now() + RETENTION, 0
        while True:
            with transaction() as session:
                due, removed = session.execute(statement, {"later": later}).one()
            total += removed
            if due < BATCH:
                return total

    def _batch_statement(self, condition: ColumnElement[bool]) -> Select[int, int]:
        """Return the statement that deletes or postpones the oldest rows; it returns how many were due and removed.

        A statement that looked for one kind alone would read all rows of the other, and take too long after a backlog.
        """
        oldest = select(*_KEY, Throttle.failures).where(condition).order_by(Throttle.prune_after).limit(BATCH)
        batch = oldest.with_for_update(skip_locked=True).cte("batch")
        is_kept = (batch.c.failures >= self.locked_from) | batch.c.scope.in_(second_factor_scopes())
        is_owned = exists().where(User.id == batch.c.counted_id)
        kept = select(batch.c.counted_id, batch.c.scope).where(is_kept, is_owned).cte("kept")
        others = select(batch.c.counted_id, batch.c.scope).except_(select(*kept.c))
        key = tuple_(*_KEY)
        postponed = update(Throttle).where(key.in_(select(*kept.c))).values(prune_after=bindparam("later"))
        removed = delete(Throttle).where(key.in_(others)).returning(Throttle.scope).cte("removed")
        due, deleted = (select(func.count()).select_from(rows).scalar_subquery() for rows in (batch, removed))
        return select(due, deleted).add_cte(postponed.cte("postponed"))


class Throttles:
    """Counts attempts, as the head of this module describes."""

    def __init__(self, fast_path: FastPath, *, free_failures: int, max_failures: int) -> None:
        """Take the number of failures after which delays begin, and after which an account is locked.

        The two names of an account are locked separately, each after half of ``max_failures``, and at least one; so is
        every other scope.
        """
        self._fast_path = fast_path
        self._free = free_failures
        self._max_of_scope = max(1, max_failures // NAMES_PER_ACCOUNT)
        self._reserve = _reserve_statement(free_failures)

    def check(self, scope: ThrottleScope, failures: int | None, blocked_until: datetime | None) -> None:
        """Raise ``TooManyRequests`` if attempts with this state are locked or must wait."""
        if failures is not None and failures >= self._max_of_scope:
            raise _refusal(MAX_DELAY, scope.locked_message)
        if blocked_until is not None and blocked_until > (now := clock.now()):
            raise _refusal(blocked_until - now)

    def reserve(self, counted_id: UUID, scope: ThrottleScope) -> Attempt:
        """Count an attempt before what it sends is checked. Raises ``TooManyRequests``.

        Raises ``KeyError`` for a scope that is not registered: what is kept of its failures would not be known.
        """
        attempt = self.try_reserve(counted_id, scope)
        if attempt is None:
            columns = select(Throttle.failures, Throttle.blocked_until)
            state = read_one(columns.where(Throttle.counted_id == counted_id, Throttle.scope == scope.name))
            self.check(scope, *(state or (None, None)))
            raise _refusal(FIRST_DELAY)
        return attempt

    def try_reserve(self, counted_id: UUID, scope: ThrottleScope) -> Attempt | None:
        """Count an attempt as ``reserve`` does; return ``None``, after the same work, if it is refused."""
        throttle_scopes.require(scope.name)
        now = clock.now()
        parameters = {"counted_id": counted_id, "scope": scope.name, "now": now, "max_failures": self._max_of_scope}
        row = self._fast_path.write(self._reserve, parameters)
        return None if row is None else Attempt(now, row.failures, row.failures >= self._max_of_scope)

    def release(self, counted_id: UUID, scope: ThrottleScope, attempt: Attempt) -> None:
        """Subtract one reserved attempt, which was no wrong guess. Other failures stay counted.

        If the database fails meanwhile, it stays counted: a worker that remembered it might release a guess instead.

        If a login has reset the failures since the attempt, one that was counted after that is released in its place: a
        guesser has one more guess while the owner logs in and sends the password with a request at the same moment. The
        number of failures cannot tell: it is also lower when others were released meanwhile.
        """
        left = func.greatest(Throttle.failures - 1, 0)
        # A delay that began with an attempt after this one stays. The delay before this one was over.
        is_over = (left < self._free) | (Throttle.last_attempt_at == attempt.counted_at)
        statement = (
            update(Throttle)
            .where(Throttle.counted_id == counted_id, Throttle.scope == scope.name)
            .values(failures=left, blocked_until=case((is_over, None), else_=Throttle.blocked_until))
        )
        with transaction() as session:
            session.execute(statement.execution_options(synchronize_session=False))

    def reset_failures(self, counted_id: UUID, scope: ThrottleScope) -> bool:
        """Set the failures in ``scope`` to zero within the open transaction; return whether there were any."""
        return _reset(counted_id, Throttle.scope == scope.name)

    def reset_failures_of_first_factors(self, counted_id: UUID) -> bool:
        """Set the failures to zero in every scope but those of second factors, within the open transaction.

        Returns whether there were any.
        """
        return _reset(counted_id, Throttle.scope.not_in(second_factor_scopes()))

    def reset_all_failures(self, counted_id: UUID) -> bool:
        """Set the failures in every scope to zero within the open transaction; return whether there were any."""
        return _reset(counted_id)

    def prunable(self) -> Prunable:
        """Return which failures are pruned: all after ``RETENTION``; of an account, no locks and no second factors.

        Counters below the lock go at the same time for accounts and unknown names. A locked one stays for an account
        only: accepted in 0028.
        """
        return _PrunableThrottles("limits", Throttle.prune_after, locked_from=self._max_of_scope)


def _reset(counted_id: UUID, *which: ColumnElement[bool]) -> bool:
    deleted = delete(Throttle).where(Throttle.counted_id == counted_id, *which)
    statement = deleted.returning(Throttle.failures).execution_options(synchronize_session=False)
    return any(db.session.scalars(statement).all())


def _refusal(wait: timedelta, sentence: str = "There were too many failed attempts.") -> Refusal:
    seconds = math.ceil(wait.total_seconds())
    return TooManyRequests(sentence, retry_after=seconds, quota=Quota(name="attempts", amount=1, seconds=seconds))


def _reserve_statement(free: int) -> PreparedStatement:
    """Return the statement that counts an attempt. It returns no row if the account is locked or must wait.

    If two run at once, the second waits for the first, and PostgreSQL evaluates its conditions on the updated row.
    """
    now = bindparam("now", type_=Throttle.last_attempt_at.type)
    failures = Throttle.failures + 1
    exponent = func.least(func.greatest(failures - free, 0), _DOUBLINGS)
    seconds = func.least(func.power(2, exponent) * FIRST_DELAY.total_seconds(), MAX_DELAY.total_seconds())
    delay = func.make_interval(0, 0, 0, 0, 0, 0, seconds, type_=Interval)
    statement = insert(Throttle).values(
        counted_id=bindparam("counted_id"),
        scope=bindparam("scope"),
        failures=1,
        last_attempt_at=now,
        blocked_until=now + FIRST_DELAY if free <= 1 else None,
        prune_after=now + RETENTION,
    )
    counted = statement.on_conflict_do_update(
        index_elements=[Throttle.counted_id, Throttle.scope],
        set_={
            "failures": failures,
            "last_attempt_at": now,
            "blocked_until": case((failures >= free, now + delay), else_=None),
            "prune_after": now + RETENTION,
        },
        where=(Throttle.failures < bindparam("max_failures", type_=Throttle.failures.type))
        & func.coalesce(Throttle.blocked_until <= now, True),
    )
    return PreparedStatement(counted.returning(Throttle.failures))
