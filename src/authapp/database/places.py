"""Places: how many may do a thing at once, and who is next."""

import threading
from collections import deque
from contextlib import AbstractContextManager, nullcontext
from typing import Any


class Places:
    """So many places, each handed by whoever leaves it to the one who has waited longest.

    A semaphore lets those in who come by just when a place becomes free, past all who wait for one: with more clients
    than connections, some answers then take ten times as long as most.
    """

    def __init__(self, count: int, *, cooperative: bool) -> None:
        """Take how many there are, and whether those who want one are greenlets, of which one runs at a time."""
        self._free = count
        self._waiting: deque[Any] = deque()
        self._lock: AbstractContextManager[Any] = nullcontext() if cooperative else threading.Lock()

    def acquire(self, timeout: float) -> bool:
        """Take a place, within so many seconds; tell whether there was one."""
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            # Under gevent an event of its own, since threading's is replaced.
            mine = threading.Event()
            self._waiting.append(mine)
        try:
            mine.wait(timeout)
        except BaseException:
            if not self._give_way(mine):
                self.release()
            raise
        return mine.is_set() or not self._give_way(mine)

    def release(self) -> None:
        """Leave the place."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1

    def _give_way(self, mine: Any) -> bool:
        """Wait no longer; tell whether no place was handed over at the last moment."""
        with self._lock:
            if mine.is_set():
                return False
            self._waiting.remove(mine)
            return True
