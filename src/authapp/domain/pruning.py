"""Pruning: rows that are no longer needed are deleted in batches."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Executable, Select, delete, literal, select, tuple_, union_all
from sqlalchemy.orm import InstrumentedAttribute

from authapp import clock
from authapp.database.session import db, server_now, transaction
from authapp.registry import Registry

BATCH = 5_000


@dataclass(frozen=True)
class Prunable:
    """The rows of one table that are no longer needed once a time in them is ``kept_for`` ago.

    ``kind`` is the name under which they are counted, together with those of other tables of this kind.
    ``indexed_time`` is the column with that time, such as ``expires_at``; it has an index, so that a batch reads what
    it deletes, and older rows that stay. ``only`` takes the latest time that is ``kept_for`` ago, and returns a further
    SQL condition on the rows. ``after_leeway`` is set for rows about tokens, because a token is still accepted for
    ``AUTHAPP_LEEWAY`` seconds after it has expired.
    """

    kind: str
    indexed_time: InstrumentedAttribute[datetime] | InstrumentedAttribute[datetime | None]
    kept_for: timedelta = timedelta(0)
    only: Callable[[datetime], ColumnElement[bool]] | None = None
    after_leeway: bool = False

    @property
    def model(self) -> type[Any]:
        """The table."""
        return self.indexed_time.parent.class_

    def condition(self, now: datetime) -> ColumnElement[bool]:
        """Return the SQL condition on the rows that are not needed at ``now``."""
        latest = now - self.kept_for
        is_over = self.indexed_time < latest
        return is_over & self.only(latest) if self.only else is_over

    def oldest(self, now: datetime) -> Select[datetime | None]:
        """Return the statement that finds the time of the oldest row that is not needed at ``now``, by its index."""
        return select(self.indexed_time).where(self.condition(now)).order_by(self.indexed_time).limit(1)

    def delete_rows(self, condition: ColumnElement[bool]) -> int:
        """Delete the rows that meet ``condition``, in batches; return their number."""
        return delete_in_batches(self.indexed_time, condition)


prunables: Registry[Prunable] = Registry("prunable table", r"[a-z][a-z_]{0,62}", "use the name of the table.")
"""What ``flask tokens prune`` deletes and ``flask doctor`` looks at, by the name of the table.

Register a table of your own where it is defined.
"""


class Pruning:
    """Deletes rows that are no longer needed."""

    def __init__(self, *, leeway: int, others: Iterable[Prunable] = ()) -> None:
        """Take the leeway for tokens in seconds, and what the settings have pruned besides the registered tables."""
        self._margin = timedelta(seconds=leeway + 1)
        self._others = tuple(others)

    def prunables(self) -> list[Prunable]:
        """Return what is pruned: what is registered, and what the settings add."""
        return [*prunables.values(), *self._others]

    def condition(self, prunable: Prunable) -> ColumnElement[bool]:
        """Return the SQL condition on the rows that are not needed now, by PostgreSQL's clock."""
        now = server_now()
        return prunable.condition(now - self._margin if prunable.after_leeway else now)

    def overdue_seconds(self) -> dict[str, float]:
        """Return for how many seconds the oldest row of each table has not been needed; 0 if all rows are needed.

        It is one statement, which finds one row of each table. It goes by this host's clock, since it deletes nothing.
        Raises ``SQLAlchemyError``.
        """
        now, prunables = clock.now(), self.prunables()
        oldest = [
            each.oldest(now).add_columns(literal(number).label("number")) for number, each in enumerate(prunables)
        ]
        overdue = dict.fromkeys((each.model.__table__.fullname for each in prunables), 0.0)
        for oldest_at, number in db.session.execute(union_all(*oldest)):
            prunable = prunables[number]
            table, seconds = prunable.model.__table__.fullname, (now - prunable.kept_for - oldest_at).total_seconds()
            overdue[table] = max(overdue[table], seconds)
        return overdue

    def prune(self) -> dict[str, int]:
        """Delete the rows that are no longer needed; return how many of each kind.

        Works in batches of ``BATCH`` rows, each in its own transaction, and skips rows that another node is deleting.
        """
        removed: Counter[str] = Counter()
        for prunable in self.prunables():
            removed[prunable.kind] += prunable.delete_rows(self.condition(prunable))
        return dict(sorted(removed.items()))


def delete_in_batches(
    indexed_time: InstrumentedAttribute[datetime] | InstrumentedAttribute[datetime | None],
    condition: ColumnElement[bool],
    *,
    prepare: Executable | None = None,
    on_batch: Callable[[int], object] | None = None,
) -> int:
    """Delete the rows that meet ``condition``, in the order of their column ``indexed_time``; return their number.

    ``prepare`` is run at the start of each transaction. ``on_batch`` is called with the number of deleted rows before
    the commit of each transaction that deletes any.
    """
    model = indexed_time.parent.class_
    key = model.__mapper__.primary_key
    oldest = select(*key).where(condition).order_by(indexed_time).limit(BATCH).with_for_update(skip_locked=True)
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
