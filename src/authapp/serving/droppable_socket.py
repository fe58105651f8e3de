"""A client's socket that another greenlet may close while its client is waited for."""

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import gevent

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""The value of ``SO_LINGER`` with which closing discards what the client has not taken."""


class DroppableSocket:
    """Wraps ``client``, a socket of gevent."""

    def __init__(self, client: Any) -> None:
        self.waiting_since: float | None = None
        """Since when (``time.monotonic``) the client is waited for, or waits in a queue; else ``None``."""
        self.is_dropped = False
        self._client = client

    def drop(self) -> None:
        """Close the connection from another greenlet. The one that waits for this client gets an ``OSError``."""
        self.waiting_since = None
        self.is_dropped = True
        with contextlib.suppress(OSError):
            self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            # Not the shutdown of a TLS socket, which would wait for its client.
            gevent.socket.socket.shutdown(self._client, socket.SHUT_RDWR)

    def wait(self, wait: Callable[[], None]) -> None:
        """Call ``wait``, a method of ``FairScheduler``, in which the client may be dropped.

        A full worker would otherwise keep all who pipeline, since nearly all of them wait in the queue.
        """
        self.waiting_since = time.monotonic()
        try:
            wait()
        finally:
            self.waiting_since = None

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
