"""A client's socket with limits: how much and how long may be read, and how slowly an answer may be taken.

Names of gunicorn that this file depends on, and that no document promises (tests/serving/test_gunicorn_names.py):
``LimitRequestHeaders``, which it answers like any other request that it cannot parse, ``Message.force_close()``, and
that it calls no other method of a socket than those here.
"""

import contextlib
import errno
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gevent
from gunicorn.http.errors import LimitRequestHeaders

from authapp.serving.fair_scheduler import FairScheduler
from authapp.serving.write_timeout import SEND_BUFFER, WriteTimeout

HEAD_BYTES = 64 * 1024
"""The most bytes of a request line and headers together."""

READ_BYTES = 64 * 1024
"""The most bytes of one read."""

FREE_READS = 4
"""Reads of one request that need not wait in the queue: enough for an ordinary request, however it is cut up."""

WRITE_BYTES = 64 * 1024
"""The most bytes of one write of a file."""

LINGER_SECONDS = 1.0
LINGER_BYTES = 1024 * 1024
"""What is read and discarded after the last answer on a connection."""

# Blanks are stripped afterwards: in the pattern, a line of blanks without an end would be tried in every way.
_ORIGIN_LINE = re.compile(rb"\norigin:([^\r\n]*)\r?\n", re.IGNORECASE)

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class TooManyBytes(LimitRequestHeaders):  # type: ignore[misc]  # gunicorn has no types
    """A client has sent more than a request may have."""

    def __init__(self) -> None:
        super().__init__("too many bytes")


def limit_buffers(listener: Any) -> None:
    """Let the kernel keep at most ``SEND_BUFFER`` bytes for each client that ``listener`` accepts."""
    # Linux doubles the number, for its own needs.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER // 2)


class ClientSocket:
    """What gunicorn gets in place of ``client``, a socket of gevent: it has the methods that gunicorn needs."""

    def __init__(self, client: Any, scheduler: FairScheduler) -> None:
        self.waiting_since: float | None = None
        """Since when (``time.monotonic``) the client is waited for, or waits in a queue; else ``None``."""
        self._client = client
        self._scheduler = scheduler
        self._request: Any = None
        self._has_received = False
        self._dropped = False
        self.error_headers: Sequence[tuple[str, str]] = ()
        """Headers for an answer that gunicorn gives by itself."""
        self.expect_request()

    def expect_request(self) -> None:
        """Let the client send the head of its next request."""
        self._head, self._is_head = bytearray(), True
        self._bytes_left = HEAD_BYTES
        self._free_reads = FREE_READS
        self._queues_reads = False
        self._write_timeout = WriteTimeout()
        self._unsent, self._has_answer = b"", False

    def begin_request(self, request: Any) -> None:
        """Remember ``request``, whose head is here. Of many that arrived together, all but the first wait in the queue.

        Raises ``ConnectionResetError`` if the client has been dropped meanwhile.
        """
        self._request = request
        self._is_head = False
        self._bytes_left = 0
        if not self._has_received:
            self._wait(self._scheduler.wait_for_slot)
        self._has_received = False
        if self._dropped:
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

    def allow(self, number: int) -> None:
        """Let the client send ``number`` bytes from now on, and no more."""
        self._bytes_left = number

    def queue_reads(self) -> None:
        """Wait in the queue before the body of this request, and before each further read of it."""
        if not self._queues_reads:
            self._queues_reads = True
            self._free_reads = 0
            self._wait(self._scheduler.wait_for_slot)

    def close_after_answer(self) -> None:
        """Make the answer to the current request the last one on this connection; it says so if it has not begun."""
        self._request.force_close()

    @contextlib.contextmanager
    def without_waiting(self) -> Iterator[None]:
        """Read what has arrived, and raise ``OSError`` where that is all."""
        self._client.settimeout(0.0)
        try:
            yield
        finally:
            self._client.settimeout(None)

    def has_hung_up(self) -> bool:
        """Tell whether the client has closed its connection. Reads nothing.

        A client that has only shut down its sending side counts as gone, as it does for nginx and HAProxy. One that has
        sent more after its request is not noticed.
        """
        try:
            with self.without_waiting():
                return not self._client.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, ValueError):  # nothing to read; TLS, which cannot peek
            return False
        except OSError:
            return True

    def drop(self) -> None:
        """Close the connection from another greenlet. The one that waits for this client gets an ``OSError``."""
        self.waiting_since = None
        self._dropped = True
        with contextlib.suppress(OSError):
            self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            # Not the shutdown of a TLS socket, which would wait for its client.
            gevent.socket.socket.shutdown(self._client, socket.SHUT_RDWR)

    def recv(self, size: int) -> bytes:
        """Return up to ``size`` bytes, none when the client is gone. Raises ``TooManyBytes``."""
        if self._bytes_left <= 0:
            raise TooManyBytes
        self.waiting_since = time.monotonic()
        try:
            if self._free_reads:
                self._free_reads -= 1
            else:
                self._scheduler.wait_for_slot()
            received: bytes = self._client.recv(min(size, READ_BYTES))
        except OSError:
            if self._dropped:
                return b""
            raise
        finally:
            self.waiting_since = None
        self._has_received = True
        if self._is_head:
            self._head += received
        self._bytes_left -= len(received)
        # Here and not when the request begins: it would have been parsed.
        self._wait(self._scheduler.wait_while_busy)
        return received

    def _wait(self, wait: Callable[[], None]) -> None:
        """Call ``wait``, a method of ``FairScheduler``, in which the client may be dropped.

        A full worker would otherwise keep all who pipeline, since nearly all of them wait in the queue.
        """
        self.waiting_since = time.monotonic()
        try:
            wait()
        finally:
            self.waiting_since = None

    def send(self, data: bytes) -> int:
        """Send all of ``data`` now: a whole answer, or the status 100, for which a client waits. Return its length."""
        self._send(data)
        return len(data)

    def sendall(self, data: bytes) -> None:
        """Send ``data``, a part of an answer; the first one, its head, goes out with the second or at ``flush``.

        Buys 9 % of the CPU time of ``GET /ping``, and more of its client's, which is woken once and not twice. Raises
        ``ConnectionResetError`` when the client takes it too slowly.
        """
        if not self._has_answer:
            self._unsent, self._has_answer = data, True
            return
        unsent, self._unsent = self._unsent, b""
        self._send(unsent + data)

    def flush(self) -> None:
        """Send the head of an answer without a body. Raises like ``sendall``."""
        unsent, self._unsent = self._unsent, b""
        if unsent:
            self._send(unsent)

    def _send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            if self._write_timeout.sent > SEND_BUFFER:
                # An ordinary answer is shorter, and does not wait again.
                self._wait(self._scheduler.wait_while_busy)
            view = view[self._send_some(view) :]

    def _send_some(self, view: memoryview) -> int:
        self.waiting_since = time.monotonic()
        try:
            self._client.settimeout(self._write_timeout.seconds())
            sent: int = self._client.send(view)
            self._write_timeout.count(sent, time.monotonic() - self.waiting_since)
        except OSError as error:
            if self._dropped or isinstance(error, TimeoutError):
                with contextlib.suppress(OSError):
                    # What it has not taken is not kept for it either.
                    self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                raise ConnectionResetError(errno.ECONNRESET, "the client is too slow") from None
            raise
        finally:
            self._client.settimeout(None)
            self.waiting_since = None
        return sent

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send ``count`` bytes of ``file`` from ``offset`` on, or all; return how many."""
        file.seek(offset)
        sent = 0
        while count is None or sent < count:
            block = file.read(WRITE_BYTES if count is None else min(WRITE_BYTES, count - sent))
            if not block:
                break
            self.sendall(block)
            sent += len(block)
        return sent

    def linger(self, seconds: float = LINGER_SECONDS, number: int = LINGER_BYTES) -> None:
        """End the answer, then read and discard until the client hangs up.

        For at most ``seconds`` and about ``number`` bytes.

        Closing a connection with unread bytes resets it, and the client loses the answer (RFC 9112, section 9.6).
        """
        self._bytes_left = number
        self._is_head = False
        try:
            self.flush()
            self._client.shutdown(socket.SHUT_WR)
            with gevent.Timeout(seconds, False):
                while self._bytes_left > 0 and self.recv(READ_BYTES):
                    pass
        except OSError:
            pass

    def setblocking(self, flag: bool) -> None:
        """Do nothing: each operation has its own timeout."""

    def getsockname(self) -> Any:
        """Return the address of the server."""
        return self._client.getsockname()

    def fileno(self) -> int:
        """Return the file descriptor."""
        number: int = self._client.fileno()
        return number

    def shutdown(self, how: int) -> None:
        """End reading, writing or both."""
        self._client.shutdown(how)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
