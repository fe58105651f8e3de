"""A fair semaphore: waiters get permits in the order in which they arrived."""

import threading
from collections import deque
from contextlib import AbstractContextManager, nullcontext
from typing import Any


class FairSemaphore:
    """A semaphore whose released permits go to the waiter that has waited longest.

    With an ordinary semaphore a newcomer can take a free permit ahead of those that wait. If there are more clients
    than connections, some responses then take ten times as long as most.
    """

    def __init__(self, count: int, *, cooperative: bool) -> None:
        """Take the number of permits. ``cooperative`` means that waiters are greenlets, so that no lock is needed."""
        self._free = count
        self._waiters: deque[Any] = deque()
        self._lock: AbstractContextManager[Any] = nullcontext() if cooperative else threading.Lock()

    def __enter__(self) -> None:
        """Wait for a permit, however long it takes."""
        self.acquire(None)

    def __exit__(self, *_error: object) -> None:
        """Release the permit."""
        self.release()

    def acquire(self, timeout: float | None) -> bool:
        """Wait up to ``timeout`` seconds for a permit, or without a limit; return whether one was acquired."""
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            # Under gevent this is a gevent event, because gevent patches threading.
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
        """Release the permit."""
        with self._lock:
            if self._waiters:
                self._waiters.popleft().set()
            else:
                self._free += 1

    def _give_up(self, handed: Any) -> bool:
        """Stop waiting. Returns ``False`` if a permit was handed over in the meantime."""
        with self._lock:
            if handed.is_set():
                return False
            self._waiters.remove(handed)
            return True
