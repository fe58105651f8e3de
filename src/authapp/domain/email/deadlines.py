"""A limit on the total time that a connection may take.

The timeout of a socket limits each wait by itself, so a server that sends one byte per second could take for ever.
"""

import socket
import threading
import time
from contextlib import suppress
from typing import Self


class ConnectionDeadline:
    """A context manager that shuts a connection down if the block takes longer than ``seconds``.

    Whatever waits for the connection then fails with an ``OSError``, also in the middle of a TLS handshake.
    """

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self.seconds = seconds
        self._ends_at = time.monotonic() + seconds
        self._handle: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._shut_down)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def watch(self, handle: socket.socket) -> None:
        """Shut this connection down at the end. A duplicate of its socket, which no TLS layer replaces."""
        self._handle = handle
        if self.is_over:
            self._shut_down()

    def left(self) -> float:
        """Return how many seconds are left, but more than 0, which would mean not to wait at all."""
        return max(self._ends_at - time.monotonic(), 0.001)

    def connect(self, host: str, port: int) -> socket.socket:
        """Return a connection to the first address of ``host`` that takes one. Raises ``OSError``.

        Each address gets an equal share of the time that is left, so that a silent one does not use up all of it.
        """
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        failure = OSError("The host has no address.")
        for number, (family, kind, protocol, _, address) in enumerate(addresses):
            connection = socket.socket(family, kind, protocol)
            connection.settimeout(self.left() / (len(addresses) - number))
            try:
                connection.connect(address)
            except OSError as error:
                connection.close()
                failure = error
            else:
                # Longer than the deadline, which ends each wait: a timeout would look like a closed connection.
                connection.settimeout(2 * self.seconds)
                return connection
        raise failure

    def _shut_down(self) -> None:
        self.is_over = True
        if self._handle is not None:
            # It may have been closed just now.
            with suppress(OSError):
                self._handle.shutdown(socket.SHUT_RDWR)
