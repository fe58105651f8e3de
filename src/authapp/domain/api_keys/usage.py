"""``last_used_at`` of API keys: collected in the worker and written once a minute, so that no request writes it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from random import uniform
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, DateTime, Uuid, and_, func, literal, or_, select, update

from authapp.database.session import transaction
from authapp.domain.api_keys.last_seen_keys import LastSeenKeys
from authapp.domain.background import sleep, survive
from authapp.models import ApiKey

FLUSH_SECONDS = 60.0
PRECISION = timedelta(seconds=60)
"""A time that is stored is left alone for so long: with several workers, each would write it once a minute."""


class ApiKeyUsage:
    """Writes the times at which keys were used."""

    def __init__(self, used: LastSeenKeys, app_context: Callable[[], AbstractContextManager[Any]]) -> None:
        """Take the keys that this worker has accepted, and the function that opens an application context."""
        self._used, self._app_context = used, app_context

    def write_while(self, running: Callable[[], bool]) -> None:
        """Write the times once a minute while ``running`` returns true, and once more at the end."""
        while running():
            # At random, so that workers that were started together do not write together.
            sleep(FLUSH_SECONDS * uniform(0.8, 1.2), running)  # noqa: S311 - not a secret
            survive(self._flush, "the last uses of API keys are not stored")

    def _flush(self) -> None:
        seen = self._used.take()
        if not seen:
            return
        try:
            with self._app_context():
                store_last_uses(seen)
        except BaseException:
            self._used.put_back(seen)
            raise


def store_last_uses(seen: Mapping[tuple[UUID, UUID], datetime]) -> None:
    """Write the times at which keys were last used, in one statement. Keys that are gone are ignored."""
    used = (
        func.unnest(
            literal([user_id for user_id, _ in seen], ARRAY(Uuid)),
            literal([key_id for _, key_id in seen], ARRAY(Uuid)),
            literal(list(seen.values()), ARRAY(DateTime(timezone=True))),
        )
        .table_valued("user_id", "key_id", "at")
        .render_derived()
    )
    is_of = and_(ApiKey.user_id == used.c.user_id, ApiKey.id == used.c.key_id)
    is_due = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < used.c.at - PRECISION)
    # Waiting for rows in no order could deadlock. A row that somebody holds (another worker that writes such a time,
    # whoever deletes it, or up to 500 at once that are marked as warned of) gets the time of its next use instead.
    due = select(ApiKey.user_id, ApiKey.id, used.c.at).join(used, is_of).where(is_due)
    locked = due.with_for_update(of=ApiKey, skip_locked=True).cte("due")
    written = (
        update(ApiKey)
        .where(ApiKey.user_id == locked.c.user_id, ApiKey.id == locked.c.id)
        .values(last_used_at=locked.c.at)
    )
    with transaction() as session:
        session.execute(written.execution_options(synchronize_session=False))
