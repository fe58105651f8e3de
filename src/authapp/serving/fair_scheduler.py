"""Fair scheduling of the event loop, for clients that send or pipeline without a pause, and for very many at once.

gevent gives way only where a socket has nothing to read, so a client that is fast enough keeps the loop. And the loop
serves all clients that are ready before it looks for new ones. Name of gevent that this file depends on
(tests/serving/test_gunicorn_names.py): ``loop.now()``, which stays the same within an iteration of the loop.
"""

import time

import gevent

from authapp.database.semaphore import FairSemaphore

_NEXT_ITERATION = 0.0001
"""Seconds; more than 0, because the loop looks at its timers and sockets only once for many ``sleep(0)``."""

BUSY = 0.01
"""Seconds of an iteration in which clients are served as they come; later ones wait for the next."""


class FairScheduler:
    """Two queues of a worker, first come first served: one of greedy clients, and one of everybody in a busy iteration.

    However many greedy clients there are, others wait for one read of theirs, not for one of each. With gevent's
    semaphore, a client that has just had a slot could take the next one, and keep it from all that wait.
    """

    def __init__(self) -> None:
        self._greedy = FairSemaphore(1, cooperative=True)
        self._requests = FairSemaphore(1, cooperative=True)
        self._loop = gevent.get_hub().loop
        self._iteration: float | None = None
        self._began = 0.0

    def wait_for_slot(self) -> None:
        """Return when a greedy client may be read from or answered: one in an iteration, and in a millisecond."""
        with self._greedy:
            gevent.sleep(_NEXT_ITERATION)

    def wait_while_busy(self) -> None:
        """Return when a client may be served: at once, unless this iteration has taken long already."""
        if self._is_busy():
            with self._requests:
                while self._is_busy():
                    gevent.sleep(_NEXT_ITERATION)

    def _is_busy(self) -> bool:
        iteration, now = self._loop.now(), time.monotonic()
        if iteration != self._iteration:
            self._iteration, self._began = iteration, now
        return now - self._began > BUSY
