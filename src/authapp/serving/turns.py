"""Turns of the event loop, for clients that send or pipeline without a pause.

gevent gives way only where a socket has nothing to read, so a client that is fast enough keeps the loop.
"""

import gevent
from gevent.lock import BoundedSemaphore

_NEXT_ITERATION = 0.0001
"""Seconds; more than 0, because the loop looks at its timers and sockets only once for many ``sleep(0)``."""


class Turns:
    """One queue for all greedy clients of a worker: one of them goes on in each iteration of the loop.

    However many they are, others wait for one piece of their work, not for one of each.
    """

    def __init__(self) -> None:
        self._queue = BoundedSemaphore(1)

    def wait(self) -> None:
        """Return when it is this greenlet's turn, first come first served; a millisecond when nobody else waits."""
        with self._queue:
            gevent.sleep(_NEXT_ITERATION)
