"""A local range API of breached passwords, which can be told to misbehave."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BREACHED = "a sentence that somebody lost"
PADDED = "a sentence that only pads the answer"


def digest(password: str) -> str:
    return sha1(password.encode()).hexdigest().upper()


def range_of(prefix: str) -> bytes:
    """Return what Have I Been Pwned would answer: its own lines end in CRLF, and some only pad."""
    known = [(BREACHED, 42), (PADDED, 0)]
    lines = [f"{digest(each)[5:]}:{count}" for each, count in known if digest(each).startswith(prefix)]
    return "\r\n".join(["0" * 35 + ":7", *lines, "F" * 35 + ":0"]).encode()


class RangeServer:
    """A server on this machine; ``behave`` answers a request in another way than with its range."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.behave: Callable[[BaseHTTPRequestHandler], None] | None = None
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.paths.append(self.path)
                server.headers.append(dict(self.headers))
                with suppress(OSError):
                    if server.behave is not None:
                        server.behave(self)
                    else:
                        answer(self, range_of(self.path.rpartition("/")[2]))

            def log_message(self, *_: Any) -> None:
                """Write nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True

    @property
    def address(self) -> str:
        scheme = "https" if isinstance(self.http.socket, ssl.SSLSocket) else "http"
        return f"{scheme}://localhost:{self.http.server_port}/range/"


def answer(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def hang(_handler: BaseHTTPRequestHandler) -> None:
    time.sleep(3)


def drip(handler: BaseHTTPRequestHandler) -> None:
    """Send a byte of the head now and then: no wait for the next one is long."""
    for byte in b"HTTP/1.1 200 OK\r\n" + b"X-Padding: 0\r\n" * 10:
        handler.wfile.write(bytes([byte]))
        time.sleep(0.1)


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        handler.wfile.write(b"0" * 35 + b":1\r\n")


def cut_short(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n" + range_of("00000"))
    handler.close_connection = True


@contextmanager
def range_server(tls: ssl.SSLContext | None = None) -> Iterator[RangeServer]:
    server = RangeServer()
    if tls is not None:
        server.http.socket = tls.wrap_socket(server.http.socket, server_side=True)
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()
