"""Pruning: the rows of tokens that have expired are of no use, and go."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from authapp import clock
from authapp.domain.transactions import transaction
from authapp.models import BlocklistedToken, Session

BATCH = 5_000


@dataclass(frozen=True)
class Pruned:
    """How many rows were removed."""

    blocklisted_tokens: int
    sessions: int


class Pruning:
    """The use case of pruning."""

    def __init__(self, *, leeway: int) -> None:
        # A token is accepted for the leeway after its expiry, and so its row is needed for as long.
        self._margin = timedelta(seconds=leeway + 1)

    def prune(self) -> Pruned:
        """Remove every expired blocklist entry and every session whose last token has expired.

        It works in batches of ``BATCH``, each a transaction of its own, and skips what another node is removing.
        """
        return Pruned(
            blocklisted_tokens=self._prune(BlocklistedToken, BlocklistedToken.jti, BlocklistedToken.expires_at),
            sessions=self._prune(Session, Session.id, Session.refresh_expires_at),
        )

    def _prune(
        self,
        model: type[BlocklistedToken] | type[Session],
        id_: InstrumentedAttribute[Any],
        expires_at: InstrumentedAttribute[Any],
    ) -> int:
        key = tuple_(model.user_id, id_)
        expired = (
            select(model.user_id, id_)
            .where(expires_at < clock.now() - self._margin)
            .order_by(expires_at)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        )
        total = 0
        while True:
            with transaction() as session:
                removed = session.connection().execute(delete(model).where(key.in_(expired))).rowcount
            total += removed
            if removed < BATCH:
                return total
