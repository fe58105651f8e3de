"""How long one request may wait for the database in all, however many statements it sends.

A limit for each statement does not bound a request: three that take two seconds each are an answer after six.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_deadline: ContextVar[float | None] = ContextVar("authapp.deadline", default=None)
"""By the monotonic clock. Each thread and each greenlet has its own."""


def start(seconds: float) -> None:
    """Let the request on this thread or greenlet wait for the database for ``seconds`` in all."""
    _deadline.set(time.monotonic() + seconds)


def stop() -> None:
    """End the deadline: what follows on this thread is bounded statement by statement."""
    _deadline.set(None)


def until(most: float) -> float:
    """Return the time, by the monotonic clock, until which to wait: ``most`` seconds from now, or the deadline."""
    deadline, latest = _deadline.get(), time.monotonic() + most
    return latest if deadline is None else min(deadline, latest)


def left(most: float) -> float:
    """Return for how many seconds to wait, at ``most``; nothing is left of a deadline that has passed."""
    return max(0.0, until(most) - time.monotonic())


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let the block wait no longer than ``seconds``, nor than the deadline."""
    before = _deadline.get()
    _deadline.set(until(seconds))
    try:
        yield
    finally:
        _deadline.set(before)


@contextmanager
def paused() -> Iterator[None]:
    """Do not count the time of the block: it is not the database's."""
    start_time = time.monotonic()
    try:
        yield
    finally:
        if (deadline := _deadline.get()) is not None:
            _deadline.set(deadline + time.monotonic() - start_time)
