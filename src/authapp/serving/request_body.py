"""The body of a request, which must arrive within a time limit, and in not too many pieces.

Name of gunicorn that this file depends on, and that no document promises (tests/serving/test_gunicorn_names.py):
``Body.failed`` of ``gunicorn.http.body``, which makes the parser refuse another request on the connection.
"""

import contextlib
import io
import sys
import time
from collections.abc import Callable, Iterator
from typing import Protocol

import gevent

from authapp.serving.client_socket import ClientSocket

BODY_TIMEOUT = 10.0
"""Seconds from the first read until the whole body must be here; 64 KiB are allowed."""

STEP = 64 * 1024
"""The most bytes that are asked for at once."""

CHUNK_BYTES = 8 * STEP + 64 * 1024
"""The bytes that a client may send for a ``STEP`` of a chunked body: chunks of one byte, and some extensions."""

FETCH_BYTES = 16 * 1024
"""An unread body up to this length does not cost its connection, if all of it has arrived."""


class RequestTimeout(BaseException):
    """A client has not sent its body in time; no ``Exception``, which gunicorn might handle on the way up."""


class Body(Protocol):
    """The methods of gunicorn's ``Body`` that are used."""

    failed: bool

    def read(self, size: int, /) -> bytes: ...
    def readline(self, size: int, /) -> bytes: ...


class FetchedBody(io.BytesIO):
    """The rest of a body that is in memory."""

    failed = False


class RequestBody:
    """``wsgi.input`` (PEP 3333) whose reads all end within ``timeout`` seconds of the first one.

    Otherwise a client that opens enough connections, and sends a byte now and then, occupies all that a worker has.
    ``length`` is the Content-Length, or ``None`` for a chunked body.
    """

    def __init__(self, body: Body, client: ClientSocket, length: int | None, timeout: float = BODY_TIMEOUT) -> None:
        self._body = body
        self._client = client
        self._missing = length
        self._ended = length == 0
        self._timeout = timeout
        self._deadline: float | None = None

    def has_arrived(self) -> bool:
        """Return whether the body has been read to its end, or can be without waiting for the client.

        Where it cannot, nobody knows where the next request begins, nor how much would have to be read until there.
        """
        if not self._ended and self._missing is not None and self._missing <= FETCH_BYTES:
            self._client.allow(self._missing)
            with contextlib.suppress(OSError), self._client.without_waiting():
                fetched = self._body.read(self._missing)
                self._ended = len(fetched) == self._missing
                self._body = FetchedBody(fetched)
        return self._ended

    def read(self, size: int | None = -1) -> bytes:
        """Return ``size`` bytes, or all. Raises ``TimeoutError``."""
        missing = sys.maxsize if size is None or size < 0 else size
        pieces = []
        while missing:
            step = min(missing, STEP)
            piece = self._in_time(self._body.read, step)
            pieces.append(piece)
            missing -= len(piece)
            if len(piece) < step:
                self._ended = True
                break
        return b"".join(pieces)

    def readline(self, size: int | None = -1) -> bytes:
        """Return a line, or its first ``size`` bytes. Raises ``TimeoutError``."""
        return self._in_time(self._body.readline, -1 if size is None else size)

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        """Return all lines, or the first that have ``hint`` bytes together. Raises ``TimeoutError``."""
        lines, length = [], 0
        for line in self:
            lines.append(line)
            length += len(line)
            if hint is not None and 0 < hint <= length:
                break
        return lines

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def _in_time(self, read: Callable[[int], bytes], size: int) -> bytes:
        if self._deadline is None:
            self._deadline = time.monotonic() + self._timeout
        try:
            with gevent.Timeout(max(self._deadline - time.monotonic(), 0), RequestTimeout):
                if self._missing is None:
                    # Work out of proportion to what is sent: each chunk costs some microseconds.
                    self._client.queue_reads()
                    self._client.allow(CHUNK_BYTES)
                else:
                    self._client.allow(self._missing)
                data = read(size)
        except RequestTimeout:
            # Where the next request would begin is unknown now.
            self._body.failed = True
            raise TimeoutError("the body did not arrive in time") from None
        if self._missing is not None:
            self._missing -= len(data)
            self._ended = self._ended or self._missing <= 0
        return data
