"""Nodes that fail behind a proxy, each in its own way."""

import socket
import struct
import threading
from contextlib import suppress

from e2e.trouble import LIVE

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class FailingNode(threading.Thread):
    """A node on a port of its own, which knows the methods of the requests that it was sent."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.requests: list[bytes] = []

    def run(self) -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _ = self._listening.accept()
                with connection, suppress(OSError):
                    self.serve(connection)

    def serve(self, connection: socket.socket) -> None:
        """Answer what comes by one connection, or fail to."""
        raise NotImplementedError

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def take(self, head: bytes) -> bool:
        """Take a request, and tell whether there is one: none if the other side has hung up."""
        self.requests += head.split()[:1]
        return bool(head)


class Lost(FailingNode):
    """A node that resets each connection when it has the request; health checks get their answer."""

    def serve(self, connection: socket.socket) -> None:
        head = connection.recv(4096)
        if LIVE.encode() in head:
            connection.sendall(OK)
        elif self.take(head):
            self.leave(connection)

    def leave(self, connection: socket.socket) -> None:
        reset(connection)


class Silent(Lost):
    """A node that takes requests and answers none of them; health checks get their answer."""

    def leave(self, connection: socket.socket) -> None:
        connection.recv(1)  # until the other side hangs up


class Echo(FailingNode):
    """A node that answers with the head of the request."""

    def serve(self, connection: socket.socket) -> None:
        head = connection.recv(4096)
        connection.sendall(OK.replace(b": 0", f": {len(head)}".encode()) + head)


class HangsUp(FailingNode):
    """A node that answers the first request of each connection, and resets the connection at the second."""

    def serve(self, connection: socket.socket) -> None:
        if self.take(connection.recv(4096)):
            connection.sendall(OK)
        if self.take(connection.recv(4096)):
            reset(connection)


def reset(connection: socket.socket) -> None:
    """Have the connection reset when it is closed."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
