"""A client's socket with limits: how much may be read of a request, and when.

Names of gunicorn that this file depends on, and that no document promises (tests/serving/test_gunicorn_names.py):
``LimitRequestHeaders``, which it answers like any other request that it cannot parse, ``Message.force_close()``, and
that it calls no other method of a socket than those here.
"""

import contextlib
import errno
import re
import socket
from collections.abc import Sequence
from typing import Any

import gevent
from gunicorn.http.errors import LimitRequestHeaders

from authapp.serving.answer import Answer
from authapp.serving.client_connection import ClientConnection
from authapp.serving.fair_scheduler import FairScheduler

HEAD_BYTES = 64 * 1024
"""The most bytes of a request line and headers together."""

READ_BYTES = 64 * 1024
"""The most bytes of one read."""

FREE_READS = 4
"""Reads of one request that need not wait in the queue: enough for an ordinary request, however it is cut up."""

LINGER_SECONDS = 1.0
LINGER_BYTES = 1024 * 1024
"""The most bytes that are read and discarded after the last answer on a connection."""

# Blanks are stripped afterwards: in the pattern, a line of blanks without an end would be tried in every way.
_ORIGIN_LINE = re.compile(rb"\norigin:([^\r\n]*)\r?\n", re.IGNORECASE)


class TooManyBytes(LimitRequestHeaders):  # type: ignore[misc]  # gunicorn has no types
    """A client has sent more than a request may have."""

    def __init__(self) -> None:
        super().__init__("too many bytes")


class ClientSocket(ClientConnection):
    """Stands in for ``sock``, a socket of gevent: it has the methods that gunicorn needs."""

    def __init__(self, sock: Any, scheduler: FairScheduler) -> None:
        super().__init__(sock)
        self._scheduler = scheduler
        self._request: Any = None
        self._has_received = False
        self.error_headers: Sequence[tuple[str, str]] = ()
        """Headers for an answer that gunicorn gives by itself."""
        self.expect_request()

    def expect_request(self) -> None:
        """Let the client send the head of its next request."""
        self._head, self._is_head = bytearray(), True
        self._bytes_left = HEAD_BYTES
        self._free_reads = FREE_READS
        self._queues_reads = False
        self._answer = Answer(self, self._scheduler.wait_while_busy)

    def begin_request(self, request: Any) -> None:
        """Remember ``request``, whose head is here. Of many that arrived together, all but the first wait in the queue.

        Raises ``ConnectionResetError`` if the client has been dropped meanwhile.
        """
        self._request = request
        self._is_head = False
        self._bytes_left = 0
        self._answer = Answer(self, self._scheduler.wait_while_busy, has_body=request.method != "HEAD")
        if not self._has_received:
            with self.wait:
                self._scheduler.wait_for_slot()
        self._has_received = False
        if self.is_dropped:
            raise ConnectionResetError(errno.ECONNRESET, "the worker was full")

    def sent_origin(self) -> str | None:
        """Return the header ``Origin`` of a request that may be one that cannot be parsed, as far as it has arrived.

        ``None`` also for one that has several: the body of a request is its page's, and may look like a header.
        """
        if self._is_head:
            with contextlib.suppress(OSError, TooManyBytes), self.without_waiting():
                while self.recv(READ_BYTES):
                    pass
        found = _ORIGIN_LINE.findall(self._head)
        return found[0].strip(b" \t").decode("latin-1") if len(found) == 1 else None

    def allow(self, size: int) -> None:
        """Let the client send ``size`` bytes from now on, and no more."""
        self._bytes_left = size

    def queue_reads(self) -> None:
        """Wait in the queue before the body of this request, and before each further read of it."""
        if not self._queues_reads:
            self._queues_reads = True
            self._free_reads = 0
            with self.wait:
                self._scheduler.wait_for_slot()

    def close_after_answer(self) -> None:
        """Make the answer to the current request the last one on this connection; it says so if it has not begun."""
        self._request.force_close()

    def recv(self, size: int) -> bytes:
        """Return up to ``size`` bytes, none when the client is gone. Raises ``TooManyBytes``."""
        if self._bytes_left <= 0:
            raise TooManyBytes
        try:
            with self.wait:
                if self._free_reads:
                    self._free_reads -= 1
                else:
                    self._scheduler.wait_for_slot()
                received: bytes = self._socket.recv(min(size, READ_BYTES))
        except OSError:
            if self.is_dropped:
                return b""
            raise
        self._has_received = True
        if self._is_head:
            self._head += received
        self._bytes_left -= len(received)
        # Here and not when the request begins: it would have been parsed.
        with self.wait:
            self._scheduler.wait_while_busy()
        return received

    def send(self, data: bytes) -> int:
        """Send all of ``data`` now: a whole answer, or the status 100, for which a client waits. Return its length."""
        self._answer.send_instead(data)
        return len(data)

    def sendall(self, data: bytes) -> None:
        """Send ``data``, a part of an answer (``Answer.write``)."""
        self._answer.write(data)

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send ``count`` bytes of ``file`` from ``offset`` on, or all; return how many."""
        return self._answer.write_file(file, offset, count)

    def flush(self) -> None:
        """Send a head whose body has not come."""
        self._answer.flush()

    def linger(self, seconds: float = LINGER_SECONDS, size: int = LINGER_BYTES) -> None:
        """End the answer, then read and discard until the client hangs up.

        For at most ``seconds`` and about ``size`` bytes.

        Closing a connection with unread bytes resets it, and the client loses the answer (RFC 9112, section 9.6).
        """
        self._bytes_left = size
        self._is_head = False
        try:
            self.flush()
            self._socket.shutdown(socket.SHUT_WR)
            with gevent.Timeout(seconds, False):
                while self._bytes_left > 0 and self.recv(READ_BYTES):
                    pass
        except OSError:
            pass
