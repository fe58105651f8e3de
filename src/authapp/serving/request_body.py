"""The body of a request, which must arrive within a time limit.

Name of gunicorn that this file depends on, and that no document promises (tests/serving/test_gunicorn_names.py):
``Body.failed`` of ``gunicorn.http.body``, which makes the parser refuse another request on the connection.
"""

import time
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

import gevent

BODY_TIMEOUT = 10.0
"""Seconds from the first read until the whole body must be here; 64 KiB are allowed."""

_T = TypeVar("_T")


class RequestTimeout(BaseException):
    """A client has not sent its body in time; no ``Exception``, which gunicorn might handle on the way up."""


class Body(Protocol):
    """What is used of gunicorn's ``Body``."""

    failed: bool

    def read(self, *size: int) -> bytes: ...
    def readline(self, *size: int) -> bytes: ...
    def readlines(self, *hint: int) -> list[bytes]: ...


class RequestBody:
    """``wsgi.input`` (PEP 3333) whose reads all end within ``timeout`` seconds of the first one.

    Otherwise whoever opens enough connections, and sends a byte now and then, occupies all that a worker may have.
    """

    def __init__(self, body: Body, timeout: float = BODY_TIMEOUT) -> None:
        self._body = body
        self._timeout = timeout
        self._deadline: float | None = None

    def read(self, *size: int) -> bytes:
        """Return ``size`` bytes, or all. Raises ``TimeoutError``."""
        return self._in_time(self._body.read, *size)

    def readline(self, *size: int) -> bytes:
        """Return a line. Raises ``TimeoutError``."""
        return self._in_time(self._body.readline, *size)

    def readlines(self, *hint: int) -> list[bytes]:
        """Return all lines. Raises ``TimeoutError``."""
        return self._in_time(self._body.readlines, *hint)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def _in_time(self, read: Callable[..., _T], *arguments: int) -> _T:
        if self._deadline is None:
            self._deadline = time.monotonic() + self._timeout
        try:
            with gevent.Timeout(max(self._deadline - time.monotonic(), 0), RequestTimeout):
                return read(*arguments)
        except RequestTimeout:
            # Where the next request would begin is unknown now.
            self._body.failed = True
            raise TimeoutError("the body did not arrive in time") from None
