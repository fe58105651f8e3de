"""The deadline of a request: how long it may wait for the database in total, over all its statements.

A limit per statement does not bound a request: with three statements of two seconds each it takes six seconds.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_deadline: ContextVar[float | None] = ContextVar("authapp.deadline", default=None)
"""In seconds of the monotonic clock. Each thread and each greenlet has its own value."""


def start(seconds: float) -> None:
    """Start the deadline of this thread or greenlet: it may wait for the database for ``seconds`` in total."""
    _deadline.set(time.monotonic() + seconds)


def stop() -> None:
    """Remove the deadline: from now on only each statement is limited."""
    _deadline.set(None)


def until(most: float) -> float:
    """Return the end of a wait, by the monotonic clock: ``most`` seconds from now, or the deadline if it is earlier."""
    deadline, latest = _deadline.get(), time.monotonic() + most
    return latest if deadline is None else min(deadline, latest)


def left(most: float) -> float:
    """Return how many seconds to wait: ``most``, or less if the deadline is earlier; 0 after it."""
    return max(0.0, until(most) - time.monotonic())


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Shorten the deadline within the block to at most ``seconds`` from now."""
    before = _deadline.get()
    _deadline.set(until(seconds))
    try:
        yield
    finally:
        _deadline.set(before)


@contextmanager
def counted(*, leaving_at_least: float) -> Iterator[None]:
    """Count the time that the block takes, but leave at least ``leaving_at_least`` seconds after it.

    If less time was left before the block, as much is left after it.
    """
    start_time = time.monotonic()
    try:
        yield
    finally:
        if (deadline := _deadline.get()) is not None:
            now = time.monotonic()
            _deadline.set(max(deadline, min(deadline + now - start_time, now + leaving_at_least)))


@contextmanager
def paused() -> Iterator[None]:
    """Move the deadline by the time that the block takes, for work that does not wait for the database."""
    start_time = time.monotonic()
    try:
        yield
    finally:
        if (deadline := _deadline.get()) is not None:
            _deadline.set(deadline + time.monotonic() - start_time)
