"""A bounded memory: what was added last is there, and the oldest goes."""

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """Remembers the last so many values by their digests. Threads may share it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: dict[bytes, T] = {}
        self._lock = threading.Lock()

    def get(self, digest: bytes) -> T | None:
        """Return what was remembered under ``digest``, if it still is."""
        return self._values.get(digest)

    def add(self, digest: bytes, value: T) -> None:
        """Remember ``value`` under ``digest``."""
        with self._lock:
            if len(self._values) >= self._size:
                del self._values[next(iter(self._values))]
            self._values[digest] = value
