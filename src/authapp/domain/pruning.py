"""Pruning: rows that are no longer needed are deleted in batches."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Executable, delete, exists, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from authapp import clock
from authapp.database.session import transaction
from authapp.models import AddressLimit, AuditEvent, BlocklistedToken, LoginThrottle, OneTimeToken, Session, User

BATCH = 5_000

UNKNOWN_NAME_RETENTION = timedelta(days=30)
"""How long the failures of an unknown name are kept after the last attempt. Those of accounts are not pruned."""

_AGE: dict[type[Any], InstrumentedAttribute[Any]] = {
    BlocklistedToken: BlocklistedToken.expires_at,
    Session: Session.refresh_expires_at,
    AddressLimit: AddressLimit.arrival_at,
    LoginThrottle: LoginThrottle.last_attempt_at,
    AuditEvent: AuditEvent.occurred_at,
    OneTimeToken: OneTimeToken.expires_at,
}
"""The column by which the oldest rows are found. Each has an index, so that a batch reads only what it deletes."""


@dataclass(frozen=True)
class Pruned:
    """How many rows were removed."""

    blocklisted_tokens: int
    sessions: int
    limits: int
    one_time_tokens: int


class Pruning:
    """Deletes rows that are no longer needed."""

    def __init__(self, *, leeway: int) -> None:
        # A token is accepted until the leeway after its expiry has passed, so its row must be kept until then.
        self._margin = timedelta(seconds=leeway + 1)

    def conditions(self) -> dict[type[Any], ColumnElement[bool]]:
        """Return for each table the condition for rows that are no longer needed."""
        now = clock.now()
        expired = now - self._margin
        # Only counters of unknown names and deleted accounts. A counter may keep an existing account locked.
        unowned = ~exists().where(User.id == LoginThrottle.account_id)
        return {
            BlocklistedToken: BlocklistedToken.expires_at < expired,
            Session: Session.refresh_expires_at < expired,
            OneTimeToken: OneTimeToken.expires_at < now,
            AddressLimit: AddressLimit.arrival_at < now,
            LoginThrottle: unowned & (LoginThrottle.last_attempt_at < now - UNKNOWN_NAME_RETENTION),
        }

    def prune(self) -> Pruned:
        """Delete expired blocklist entries, sessions and one-time tokens, and limits that are not in use.

        Works in batches of ``BATCH`` rows, each in its own transaction, and skips rows that another node is deleting.
        Returns how many rows were deleted.
        """
        removed = {model: delete_in_batches(model, condition) for model, condition in self.conditions().items()}
        return Pruned(
            blocklisted_tokens=removed[BlocklistedToken],
            sessions=removed[Session],
            limits=removed[AddressLimit] + removed[LoginThrottle],
            one_time_tokens=removed[OneTimeToken],
        )


def delete_in_batches(
    model: type[Any],
    condition: ColumnElement[bool],
    *,
    prepare: Executable | None = None,
    on_batch: Callable[[int], object] | None = None,
) -> int:
    """Delete the rows of ``model`` that meet ``condition``, and return their number.

    ``prepare`` is run at the start of each transaction. ``on_batch`` is called with the
    number of deleted rows before the commit of each transaction that deletes any.
    """
    key = model.__mapper__.primary_key
    oldest = select(*key).where(condition).order_by(_AGE[model]).limit(BATCH).with_for_update(skip_locked=True)
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
