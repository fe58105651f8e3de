"""Writing an answer: when its parts are sent, and how slowly a client may take them.

gunicorn passes the whole head of an answer in one ``sendall``, as no document promises
(tests/serving/test_gunicorn_names.py).
"""

import contextlib
import errno
import re
import socket
import time
from collections.abc import Callable
from typing import Any

from authapp.serving.client_connection import ClientConnection

WRITE_SECONDS = 5.0
WRITE_RATE = 16 * 1024
"""An answer may wait for its client for ``WRITE_SECONDS`` at once, and in total for as long, and a second more for each
``WRITE_RATE`` bytes that the client has taken."""

SEND_BUFFER = 128 * 1024
"""Bytes that the kernel keeps for a client that has not taken them yet; otherwise it would be millions."""

FILE_BLOCK = 64 * 1024
"""The most bytes of one write of a file."""

# An answer to HEAD has such a head as well, so it is asked for apart.
_PROMISES_BODY = re.compile(rb"HTTP/1\.[01] (?!1|204|304)[0-9]{3} (?s:.*)\r\nContent-Length: [1-9]", re.IGNORECASE)


def limit_buffers(listener: Any) -> None:
    """Let the kernel keep at most ``SEND_BUFFER`` bytes for each client that ``listener`` accepts."""
    # Linux doubles the number, for its own needs.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER // 2)


class Answer:
    """One answer to ``client``; ``wait_while_busy`` waits until the worker has time for more of it.

    With ``has_body``, false for HEAD, a head that promises a body is sent together with the first part of it. All that
    sends raises ``ConnectionResetError`` when the client takes it too slowly.
    """

    def __init__(self, client: ClientConnection, wait_while_busy: Callable[[], None], *, has_body: bool = True) -> None:
        self._client = client
        self._wait_while_busy = wait_while_busy
        self._has_body = has_body
        self._has_begun = False
        self._head = b""
        self._sent = 0
        self._waited = 0.0

    def write(self, part: bytes) -> None:
        """Send ``part``; a head that promises a body only with the next part, or at ``flush``.

        Buys 9 % of the CPU time of ``GET /ping``, and more of its client's, which is woken once and not twice. Any
        other head may be all that the client waits for.
        """
        if not self._has_begun:
            self._has_begun = True
            if self._has_body and _PROMISES_BODY.match(part):
                self._head = part
                return
        head, self._head = self._head, b""
        self._send(head + part)

    def write_file(self, file: Any, offset: int, count: int | None) -> int:
        """Send ``count`` bytes of ``file`` from ``offset`` on, or all; return how many."""
        file.seek(offset)
        written = 0
        while count is None or written < count:
            block = file.read(FILE_BLOCK if count is None else min(FILE_BLOCK, count - written))
            if not block:
                break
            self.write(block)
            written += len(block)
        return written

    def flush(self) -> None:
        """Send a head whose body has not come."""
        head, self._head = self._head, b""
        self._send(head)

    def send_instead(self, data: bytes) -> None:
        """Send ``data`` in place of an answer that has not begun: a whole one, or the status 100 before it."""
        self._head = b""
        self._send(data)

    def _send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            if self._sent > SEND_BUFFER:
                # An ordinary answer is shorter, and does not wait again.
                with self._client.wait:
                    self._wait_while_busy()
            view = view[self._send_some(view) :]

    def _send_some(self, view: memoryview) -> int:
        start = time.monotonic()
        try:
            sent = self._client.send_some(view, self._seconds())
        except OSError as error:
            if self._client.is_dropped or isinstance(error, TimeoutError):
                with contextlib.suppress(OSError):
                    # What it has not taken is not kept for it either.
                    self._client.reset_on_close()
                raise ConnectionResetError(errno.ECONNRESET, "the client is too slow") from None
            raise
        self._sent += sent
        self._waited += time.monotonic() - start
        return sent

    def _seconds(self) -> float:
        """Return how long the next write may wait; never 0, so that a client goes on that has just made room."""
        taken = max(self._sent - SEND_BUFFER, 0)
        return min(max(WRITE_SECONDS + taken / WRITE_RATE - self._waited, 0.001), WRITE_SECONDS)
