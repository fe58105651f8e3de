"""A proxy between the application and PostgreSQL that counts what crosses the wire."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import make_url

PLAIN = {"sslmode": "disable", "gssencmode": "disable"}
SIMPLE_QUERY, PARSE, EXECUTE = b"Q", b"P", b"E"


class Wire:
    """``questions`` are the messages by which the client asks for something, with the text of simple queries."""

    def __init__(self, upstream: str) -> None:
        self._upstream = make_url(upstream)
        self.questions: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The address of the database, by way of this proxy."""
        through = self._upstream.set(host="127.0.0.1", port=self._listener.getsockname()[1], query=PLAIN)
        return through.render_as_string(hide_password=False)

    def close(self) -> None:
        hang_up(*self._sockets)
        for each in self._sockets:
            each.close()

    def _connect(self) -> socket.socket:
        folder = self._upstream.query.get("host")
        if isinstance(folder, str) and folder.startswith("/"):
            upstream = socket.socket(socket.AF_UNIX)
            upstream.connect(f"{folder}/.s.PGSQL.{self._upstream.port or 5432}")
            return upstream
        return socket.create_connection((self._upstream.host or "127.0.0.1", self._upstream.port or 5432))

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = self._connect()
                self._sockets += [client, server]
                threading.Thread(target=self._copy, args=(server, client), daemon=True).start()
                threading.Thread(target=self._listen, args=(client, server), daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        finally:
            hang_up(source, target)

    def _listen(self, client: socket.socket, server: socket.socket) -> None:
        """Forward message by message (PostgreSQL's protocol 3: a type byte, and a length that counts itself)."""
        try:
            startup = _exactly(client, 4)
            server.sendall(startup + _exactly(client, struct.unpack("!I", startup)[0] - 4))
            while True:
                head = _exactly(client, 5)
                body = _exactly(client, struct.unpack("!I", head[1:])[0] - 4)
                if head[:1] in {SIMPLE_QUERY, PARSE, EXECUTE}:
                    self.questions.append(body.rstrip(b"\0").decode())
                server.sendall(head + body)
        except OSError:
            pass
        finally:
            hang_up(client, server)


def hang_up(*sockets: socket.socket) -> None:
    """End a connection on both sides: when one is gone, the other must not wait for it."""
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def _exactly(source: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = source.recv(count - len(data))
        if not more:
            raise ConnectionError
        data += more
    return data


@contextmanager
def listening(upstream: str) -> Iterator[Wire]:
    wire = Wire(upstream)
    try:
        yield wire
    finally:
        wire.close()
