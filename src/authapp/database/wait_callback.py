"""psycopg2's wait callback: each wait for PostgreSQL has a deadline by our clock, and does not stop the event loop.

A server that is frozen, or behind a network that swallows packets, answers nothing: ``connect_timeout`` and
``statement_timeout`` are of no use then, for libpq goes on waiting. psycopg2 hands the waiting over to one function of
the process (https://www.psycopg.org/docs/advanced.html#support-for-coroutine-libraries).
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

Ready = Callable[[int, bool, float], bool]
"""Tells whether a descriptor became ready for reading (or else for writing) within that many seconds."""

WAITS, TICK = "authapp_waits", 0.05
"""Under an event loop, the time limits of all waits are checked every ``TICK`` seconds."""


class Unanswered(OperationalError):
    """The server did not answer in time, by our clock. The connection is closed; what was asked may be done or not."""


class TimedConnection(connection):
    """A connection whose every wait for the server ends after ``answer_timeout`` seconds."""

    answer_timeout: float | None = None
    """In seconds; ``None`` waits for ever, as a migration may."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.statements: set[str] = set()
        """The names of the statements that were prepared on it."""
        self.opened_at = time.monotonic()


def connections_with(answer_timeout: float) -> type[TimedConnection]:
    """Return the class of connections that wait for an answer for ``answer_timeout`` seconds."""
    return type("TimedConnection", (TimedConnection,), {"answer_timeout": answer_timeout})


def install() -> None:
    """Make every psycopg2 connection of this process wait here."""
    ready = _by_event_loop() if _event_loop_runs() else _by_poll

    def wait(driver_connection: connection) -> None:
        most = getattr(driver_connection, "answer_timeout", None)
        limit: float | None = None
        while (state := driver_connection.poll()) != POLL_OK:
            if limit is None:
                limit = deadline.until(most) if most is not None else float("inf")
            left = limit - time.monotonic()
            # psycopg2 closes a connection whose wait has failed: no late answer can be taken for that of another.
            if left <= 0 or not ready(driver_connection.fileno(), state == POLL_READ, left):
                raise Unanswered("The database did not answer in time.")

    set_wait_callback(wait)


def fair_semaphore(count: int) -> FairSemaphore:
    """Return a semaphore with ``count`` permits for the requests of this process."""
    return FairSemaphore(count, cooperative=_event_loop_runs())


def _event_loop_runs() -> bool:
    """Tell whether gevent has replaced the sockets of this process, as gunicorn's gevent worker does."""
    monkey: Any = sys.modules.get("gevent.monkey")
    return monkey is not None and monkey.is_module_patched("socket")


def _by_poll(descriptor: int, reading: bool, seconds: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN if reading else select.POLLOUT)
    return bool(poll.poll(None if seconds == float("inf") else seconds * 1000))


def _by_event_loop() -> Ready:
    from gevent import get_hub, getcurrent  # noqa: PLC0415

    def waits_of(hub: Any) -> dict[Any, float]:
        # One timer for all waits: to start and stop a timer for each would cost more than the wait itself. It is kept
        # on its hub, so that a second install() finds it.
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
