"""Pruning: rows that are no longer needed are deleted in batches."""

from collections.abc import Callable, Sequence
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
        useless = self.conditions()

        def prune(model: type[Any], *key: InstrumentedAttribute[Any]) -> int:
            return delete_in_batches(model, key, useless[model])

        return Pruned(
            blocklisted_tokens=prune(BlocklistedToken, BlocklistedToken.user_id, BlocklistedToken.jti),
            sessions=prune(Session, Session.user_id, Session.id),
            limits=prune(AddressLimit, AddressLimit.address, AddressLimit.limit_name)
            + prune(LoginThrottle, LoginThrottle.account_id, LoginThrottle.purpose),
            one_time_tokens=prune(OneTimeToken, OneTimeToken.user_id, OneTimeToken.purpose, OneTimeToken.token_hash),
        )


def delete_in_batches(
    model: type[Any],
    key: Sequence[InstrumentedAttribute[Any]],
    condition: ColumnElement[bool],
    *,
    prepare: Executable | None = None,
    on_batch: Callable[[int], object] | None = None,
) -> int:
    """Delete the rows of ``model`` that meet ``condition``, and return their number.

    ``key`` is the primary key. ``prepare`` is run at the start of each transaction. ``on_batch`` is called with the
    number of deleted rows before the commit of each transaction that deletes any.
    """
    chosen = select(*key).where(condition).order_by(_AGE[model]).limit(BATCH).with_for_update(skip_locked=True)
    statement = delete(model).where(tuple_(*key).in_(chosen))
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
