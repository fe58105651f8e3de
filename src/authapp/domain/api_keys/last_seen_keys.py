"""API keys with a time, in the memory of one worker: a bounded number of them."""

from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

MAX_KEYS = 10_000


class LastSeenKeys:
    """When each API key was last seen here. Above ``MAX_KEYS``, those that were seen longest ago are forgotten."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[UUID, UUID], datetime] = OrderedDict()

    def add(self, user_id: UUID, key_id: UUID, now: datetime) -> None:
        """Note that a key was seen ``now``."""
        self._seen[user_id, key_id] = now
        self._seen.move_to_end((user_id, key_id))
        if len(self._seen) > MAX_KEYS:
            self._seen.popitem(last=False)

    def get(self, user_id: UUID, key_id: UUID) -> datetime | None:
        """Return when a key was last seen, or ``None``."""
        return self._seen.get((user_id, key_id))

    def take(self) -> dict[tuple[UUID, UUID], datetime]:
        """Return all keys with their times, and forget them."""
        seen, self._seen = self._seen, OrderedDict()
        return seen

    def put_back(self, seen: Mapping[tuple[UUID, UUID], datetime]) -> None:
        """Note the keys that ``take`` returned once more. Of a key that was seen since, the newer time stays."""
        self._seen = OrderedDict({**seen, **self._seen})
        while len(self._seen) > MAX_KEYS:
            self._seen.popitem(last=False)
