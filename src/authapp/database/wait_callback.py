"""psycopg2's wait callback: each wait for PostgreSQL has a client-side timeout, and does not block the event loop.

If the server is frozen, or the network drops packets, there is no answer at all. ``connect_timeout`` and
``statement_timeout`` do not help then: libpq keeps waiting. psycopg2 lets one function per process do the waiting
(https://www.psycopg.org/docs/advanced.html#support-for-coroutine-libraries).
"""

import select
import sys
import time
from collections.abc import Callable
from typing import Any

from psycopg2 import OperationalError
from psycopg2.extensions import POLL_OK, POLL_READ, connection, set_wait_callback

from authapp.database import deadline
from authapp.database.semaphore import FairSemaphore
from authapp.database.traced_cursor import TracedCursor
from authapp.tracing import is_on

Ready = Callable[[int, bool, float], bool]
"""Takes a file descriptor, whether to wait for reading or for writing, and a timeout in seconds.

Returns whether the descriptor became ready in time.
"""

WAITS, TICK = "authapp_waits", 0.05
"""Under an event loop, the time limits of all waits are checked every ``TICK`` seconds."""


class AnswerTimeout(OperationalError):
    """The server did not answer in time. The connection is closed, and the statement may have run or not."""


class TimedConnection(connection):
    """A connection that waits at most ``answer_timeout`` seconds for each answer of the server."""

    answer_timeout: float | None = None
    """In seconds. ``None`` means no limit, as for migrations."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.statements: set[str] = set()
        """The names of the statements that are prepared on this connection."""
        self.opened_at = time.monotonic()
        if is_on():
            self.cursor_factory = TracedCursor


def connections_with(answer_timeout: float) -> type[TimedConnection]:
    """Return a subclass of ``TimedConnection`` with this ``answer_timeout``, in seconds."""
    return type("TimedConnection", (TimedConnection,), {"answer_timeout": answer_timeout})


def install() -> None:
    """Install the wait callback for all psycopg2 connections of this process."""
    ready = _by_event_loop() if _event_loop_runs() else _by_poll

    def wait(driver_connection: connection) -> None:
        most = getattr(driver_connection, "answer_timeout", None)
        limit: float | None = None
        while (state := driver_connection.poll()) != POLL_OK:
            if limit is None:
                limit = deadline.until(most) if most is not None else float("inf")
            left = limit - time.monotonic()
            # psycopg2 closes a connection whose wait failed, so no late answer can be taken for that of another query.
            if left <= 0 or not ready(driver_connection.fileno(), state == POLL_READ, left):
                raise AnswerTimeout("The database did not answer in time.")

    set_wait_callback(wait)


def fair_semaphore(count: int) -> FairSemaphore:
    """Return a fair semaphore with ``count`` permits, for threads or greenlets as this process uses them."""
    return FairSemaphore(count, cooperative=_event_loop_runs())


def _event_loop_runs() -> bool:
    """Return whether gevent has patched the sockets of this process, as gunicorn's gevent worker does."""
    monkey: Any = sys.modules.get("gevent.monkey")
    return monkey is not None and monkey.is_module_patched("socket")


def _by_poll(descriptor: int, reading: bool, seconds: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN if reading else select.POLLOUT)
    return bool(poll.poll(None if seconds == float("inf") else seconds * 1000))


def _by_event_loop() -> Ready:
    from gevent import get_hub, getcurrent  # noqa: PLC0415 - only where it runs

    def waits_of(hub: Any) -> dict[Any, float]:
        # One timer serves all waits, because starting and stopping a timer for each costs more than the wait itself. It
        # is stored on the hub, so that a second install() finds it.
        if (waits := getattr(hub, WAITS, None)) is None:
            waits, clock = {}, hub.loop.timer(TICK, TICK, ref=False)
            clock.start(_give_up, waits)
            setattr(hub, WAITS, waits)
            setattr(hub, f"{WAITS}_clock", clock)
        return waits

    def ready(descriptor: int, reading: bool, seconds: float) -> bool:
        hub, greenlet = get_hub(), getcurrent()
        waits = waits_of(hub)
        watcher = hub.loop.io(descriptor, 1 if reading else 2)
        waits[greenlet] = time.monotonic() + seconds
        try:
            hub.wait(watcher)
        except TimeoutError:
            return False
        finally:
            waits.pop(greenlet, None)
            watcher.close()
        return True

    return ready


def _give_up(waits: dict[Any, float]) -> None:
    now = time.monotonic()
    for greenlet in [greenlet for greenlet, limit in waits.items() if limit <= now]:
        if waits.pop(greenlet, None) is not None:
            greenlet.throw(TimeoutError)
