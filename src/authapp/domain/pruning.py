"""Pruning: rows that are no longer needed are deleted in batches."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Executable, delete, exists, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from authapp import clock
from authapp.database.session import transaction
from authapp.models import AddressLimit, BlocklistedToken, LoginThrottle, OneTimeToken, Session, User

BATCH = 5_000

UNKNOWN_NAME_RETENTION = timedelta(days=30)
"""How long the failures of an unknown name are kept after the last attempt. Those of accounts are not pruned."""

KINDS = {
    "blocklisted_tokens": "blocklist entries",
    "sessions": "sessions",
    "limits": "limits",
    "one_time_tokens": "one-time tokens",
}
"""What is counted, each with the words for people. The rows of several tables may count as one kind."""


@dataclass(frozen=True)
class Prunable:
    """The rows of ``model`` that are no longer needed, which count as ``kind``.

    ``age`` is the column by which the oldest are found. It has an index, so that a batch reads only what it deletes.
    """

    kind: str
    model: type[Any]
    age: InstrumentedAttribute[datetime]
    condition: ColumnElement[bool]


class Pruning:
    """Deletes rows that are no longer needed."""

    def __init__(self, *, leeway: int) -> None:
        # A token is accepted until the leeway after its expiry has passed, so its row must be kept until then.
        self._margin = timedelta(seconds=leeway + 1)

    def prunable(self) -> list[Prunable]:
        """Return what is no longer needed now."""
        now = clock.now()
        expired = now - self._margin

        def older(kind: str, age: InstrumentedAttribute[datetime], limit: datetime) -> Prunable:
            return Prunable(kind, age.parent.class_, age, age < limit)

        # Only counters of unknown names and deleted accounts. A counter may keep an existing account locked.
        unowned = ~exists().where(User.id == LoginThrottle.account_id)
        forgotten = LoginThrottle.last_attempt_at < now - UNKNOWN_NAME_RETENTION
        return [
            older("blocklisted_tokens", BlocklistedToken.expires_at, expired),
            older("sessions", Session.refresh_expires_at, expired),
            older("one_time_tokens", OneTimeToken.expires_at, now),
            older("limits", AddressLimit.arrival_at, now),
            Prunable("limits", LoginThrottle, LoginThrottle.last_attempt_at, unowned & forgotten),
        ]

    def prune(self) -> dict[str, int]:
        """Delete expired blocklist entries, sessions and one-time tokens, and limits that are not in use.

        Works in batches of ``BATCH`` rows, each in its own transaction, and skips rows that another node is deleting.
        Returns how many rows of each kind were deleted.
        """
        removed = dict.fromkeys(KINDS, 0)
        for rows in self.prunable():
            removed[rows.kind] += delete_in_batches(rows.age, rows.condition)
        return removed


def delete_in_batches(
    age: InstrumentedAttribute[datetime],
    condition: ColumnElement[bool],
    *,
    prepare: Executable | None = None,
    on_batch: Callable[[int], object] | None = None,
) -> int:
    """Delete the rows that meet ``condition``, in the order of their indexed column ``age``; return their number.

    ``prepare`` is run at the start of each transaction. ``on_batch`` is called with the
    number of deleted rows before the commit of each transaction that deletes any.
    """
    model = age.parent.class_
    key = model.__mapper__.primary_key
    oldest = select(*key).where(condition).order_by(age).limit(BATCH).with_for_update(skip_locked=True)
    # As a CTE it runs once: PostgreSQL may run a subquery with a limit for each row, and so delete them all at once.
    batch = oldest.cte("batch")
    statement = delete(model).where(tuple_(*key).in_(select(*batch.c)))
    total = 0
    while True:
        with transaction() as session:
            if prepare is not None:
                session.execute(prepare)
            removed: int = session.connection().execute(statement).rowcount
            if removed and on_batch is not None:
                on_batch(removed)
        total += removed
        if removed < BATCH:
            return total
