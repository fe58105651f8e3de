"""Writing an answer: when its parts are sent, and how slowly a client may take them."""

import contextlib
import errno
import socket
import time
from collections.abc import Callable
from typing import Any

from authapp.serving.droppable_socket import RESET_ON_CLOSE, DroppableSocket

WRITE_SECONDS = 5.0
WRITE_RATE = 16 * 1024
"""An answer may wait for its client for ``WRITE_SECONDS`` at once, and in total for as long, and a second more for each
``WRITE_RATE`` bytes that the client has taken."""

SEND_BUFFER = 128 * 1024
"""Bytes that the kernel keeps for a client that has not taken them yet; otherwise it would be millions."""

FILE_BLOCK = 64 * 1024
"""The most bytes of one write of a file."""


def limit_buffers(listener: Any) -> None:
    """Let the kernel keep at most ``SEND_BUFFER`` bytes for each client that ``listener`` accepts."""
    # Linux doubles the number, for its own needs.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER // 2)


class Answer:
    """One answer to ``client``, whose socket is ``connection``. ``wait_while_busy`` is that of the ``FairScheduler``.

    All that sends raises ``ConnectionResetError`` when the client takes it too slowly.
    """

    def __init__(self, client: DroppableSocket, connection: Any, wait_while_busy: Callable[[], None]) -> None:
        self._client = client
        self._connection = connection
        self._wait_while_busy = wait_while_busy
        self._unsent: bytes | None = None
        self._sent = 0
        self._waited = 0.0

    def write(self, part: bytes) -> None:
        """Send ``part``. The first one, the head, goes out with the second, or at ``flush``.

        Buys 9 % of the CPU time of ``GET /ping``, and more of its client's, which is woken once and not twice.
        """
        if self._unsent is None:
            self._unsent = part
            return
        unsent, self._unsent = self._unsent, b""
        self.send(unsent + part)

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
        """Send the head of an answer without a body."""
        unsent, self._unsent = self._unsent, b""
        if unsent:
            self.send(unsent)

    def send(self, data: bytes) -> None:
        """Send ``data`` now."""
        view = memoryview(data)
        while view:
            if self._sent > SEND_BUFFER:
                # An ordinary answer is shorter, and does not wait again.
                self._client.wait(self._wait_while_busy)
            view = view[self._send_some(view) :]

    def _send_some(self, view: memoryview) -> int:
        self._client.waiting_since = start = time.monotonic()
        try:
            self._connection.settimeout(self._seconds())
            sent: int = self._connection.send(view)
        except OSError as error:
            if self._client.is_dropped or isinstance(error, TimeoutError):
                with contextlib.suppress(OSError):
                    # What it has not taken is not kept for it either.
                    self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                raise ConnectionResetError(errno.ECONNRESET, "the client is too slow") from None
            raise
        finally:
            self._connection.settimeout(None)
            self._client.waiting_since = None
        self._sent += sent
        self._waited += time.monotonic() - start
        return sent

    def _seconds(self) -> float:
        """Return how long the next write may wait; never 0, so that a client goes on that has just made room."""
        taken = max(self._sent - SEND_BUFFER, 0)
        return min(max(WRITE_SECONDS + taken / WRITE_RATE - self._waited, 0.001), WRITE_SECONDS)
