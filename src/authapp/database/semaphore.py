"""A fair semaphore: whoever has waited longest is next."""

import threading
from collections import deque
from contextlib import AbstractContextManager, nullcontext
from typing import Any


class FairSemaphore:
    """Permits, each handed by its holder to the one who has waited longest.

    An ordinary semaphore lets in whoever comes by just when a permit becomes free, past all who wait for one: with more
    clients than connections, some answers then take ten times as long as most.
    """

    def __init__(self, count: int, *, cooperative: bool) -> None:
        """Take how many permits there are, and whether the waiters are greenlets, of which one runs at a time."""
        self._free = count
        self._waiters: deque[Any] = deque()
        self._lock: AbstractContextManager[Any] = nullcontext() if cooperative else threading.Lock()

    def acquire(self, timeout: float) -> bool:
        """Take a permit within ``timeout`` seconds; tell whether there was one."""
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            # Under gevent an event of its own, since threading's is replaced.
            handed = threading.Event()
            self._waiters.append(handed)
        try:
            handed.wait(timeout)
        except BaseException:
            if not self._give_up(handed):
                self.release()
            raise
        return handed.is_set() or not self._give_up(handed)

    def release(self) -> None:
        """Give the permit back."""
        with self._lock:
            if self._waiters:
                self._waiters.popleft().set()
            else:
                self._free += 1

    def _give_up(self, handed: Any) -> bool:
        """Wait no longer; tell whether no permit was handed over at the last moment."""
        with self._lock:
            if handed.is_set():
                return False
            self._waiters.remove(handed)
            return True
