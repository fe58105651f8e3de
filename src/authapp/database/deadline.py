"""How long one request may wait for the database in all, however many statements it sends.

A limit for each statement does not bound a request: three that take two seconds each are an answer after six.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_deadline: ContextVar[float | None] = ContextVar("authapp.deadline", default=None)
"""Of the monotonic clock. Each thread and each greenlet has its own."""


class Bounded:
    """WSGI middleware that lets each request wait for the database for so many seconds in all."""

    def __init__(self, app: Callable[..., Iterable[bytes]], seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        _deadline.set(time.monotonic() + self._seconds)
        try:
            return self._app(environ, start_response)
        finally:
            # What follows on this thread is bounded statement by statement.
            _deadline.set(None)


def until(most: float) -> float:
    """Return the moment, of the monotonic clock, until which to wait: ``most`` seconds away, or the deadline."""
    deadline, latest = _deadline.get(), time.monotonic() + most
    return latest if deadline is None else min(deadline, latest)


def left(most: float) -> float:
    """Return for how many seconds to wait, at ``most``; nothing is left of a deadline that has passed."""
    return max(0.0, until(most) - time.monotonic())


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let what is done here wait for no longer than so many ``seconds``, nor than the deadline."""
    before = _deadline.get()
    _deadline.set(until(seconds))
    try:
        yield
    finally:
        _deadline.set(before)


@contextmanager
def paused() -> Iterator[None]:
    """Do not count the time that is spent here, which is not the database's."""
    start = time.monotonic()
    try:
        yield
    finally:
        if (deadline := _deadline.get()) is not None:
            _deadline.set(deadline + time.monotonic() - start)
