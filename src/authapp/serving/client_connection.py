"""A client's connection that another greenlet may close while its client is waited for."""

import contextlib
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import gevent

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""The value of ``SO_LINGER`` with which closing discards what the client has not taken."""


class Wait:
    """A block in which a client is waited for, or waits in a queue."""

    def __init__(self) -> None:
        self.since: float | None = None
        """Since when, by ``time.monotonic``; ``None`` outside of the block."""

    def __enter__(self) -> None:
        self.since = time.monotonic()

    def __exit__(self, *_error: object) -> None:
        self.since = None


class ClientConnection:
    """The connection to a client by ``sock``, a socket of gevent.

    Code that waits for the client does so within ``wait``: a full worker drops those who are waited for.
    """

    def __init__(self, sock: Any) -> None:
        self.wait = Wait()
        self.is_dropped = False
        self._socket = sock

    def drop(self) -> None:
        """Close the connection from another greenlet. The one that waits for this client gets an ``OSError``."""
        self.wait.since = None
        self.is_dropped = True
        with contextlib.suppress(OSError):
            self.reset_on_close()
            # Not the shutdown of a TLS socket, which would wait for its client.
            gevent.socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def reset_on_close(self) -> None:
        """Discard what the client has not taken when the connection closes. Raises ``OSError``."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    @contextlib.contextmanager
    def without_waiting(self) -> Iterator[None]:
        """Read what has arrived, and raise ``OSError`` where that is all."""
        self._socket.settimeout(0.0)
        try:
            yield
        finally:
            self._socket.settimeout(None)

    def has_hung_up(self) -> bool:
        """Tell whether the client has closed its connection. Reads nothing.

        A client that has only shut down its sending side counts as gone, as it does for nginx and HAProxy. One that has
        sent more after its request is not noticed.
        """
        try:
            with self.without_waiting():
                return not self._socket.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, ValueError):  # nothing to read; TLS, which cannot peek
            return False
        except OSError:
            return True

    def send_some(self, data: memoryview, seconds: float) -> int:
        """Send what the client takes of ``data`` within ``seconds``, and return how many bytes. Raises ``OSError``."""
        try:
            with self.wait:
                self._socket.settimeout(seconds)
                sent: int = self._socket.send(data)
        finally:
            self._socket.settimeout(None)
        return sent

    def setblocking(self, flag: bool) -> None:
        """Do nothing: each operation has its own timeout."""

    def getsockname(self) -> Any:
        """Return the address of the server."""
        return self._socket.getsockname()

    def fileno(self) -> int:
        """Return the file descriptor."""
        number: int = self._socket.fileno()
        return number

    def shutdown(self, how: int) -> None:
        """End reading, writing or both."""
        self._socket.shutdown(how)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()
