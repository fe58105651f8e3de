"""Requests to servers of others: limited in time, in bytes, and in how many are under way at once.

Certificates are checked. Redirects are responses, and not followed; proxies of the environment are ignored.
"""

import _thread
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from http.client import HTTPResponse as StandardResponse
from ipaddress import IPv6Address, IPv6Network, ip_address
from types import MappingProxyType
from urllib.parse import urlsplit

from authapp import native_threads, tracing
from authapp.domain.limited_reader import LimitedReader, ReadLimitExceeded

_GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All that is assigned (RFC 4291, section 2.4). NAT64, site-local, IPv4-compatible and multicast are outside of it."""

_TUNNELS = (IPv6Network("2002::/16"), IPv6Network("2001::/32"))
"""6to4 and Teredo, which lead to the IPv4 address in them (RFC 3056, RFC 4380)."""

_ENVELOPE_BYTES = 65_536
"""How long all that surrounds a body may be: the headers, and the lengths of chunks beyond the length of the body."""

_HEADERS = {"User-Agent": "authapp", "Connection": "close"}


class HTTPFailure(Exception):
    """The server could not be reached, or its response not be read. The message is a sentence."""


@dataclass(frozen=True)
class HTTPRequest:
    """A request to an absolute ``url``. With ``public_only``, it is not sent to a host with a private address."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    body: bytes | None = None
    public_only: bool = False


@dataclass(frozen=True)
class HTTPResponse:
    """The status and the whole body of a response."""

    status: int
    body: bytes


class HTTPClient:
    """Sends requests, at most ``at_once`` at a time, and reads responses of at most ``max_bytes``."""

    def __init__(self, *, at_once: int, max_bytes: int) -> None:
        self._slots = threading.BoundedSemaphore(at_once)
        self._max_bytes = max_bytes

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        # With the first request, and beside the event loop: to read the certificates of all authorities takes a tenth
        # of the start of a worker.
        return native_threads.run(ssl.create_default_context)

    def fetch(self, request: HTTPRequest, seconds: float) -> HTTPResponse:
        """Return the response. Raises ``HTTPFailure``, after ``seconds`` at the latest.

        They are counted from the look-up of the server's name to the last byte.
        """
        try:
            host = urlsplit(request.url).hostname or ""
        except ValueError:
            raise HTTPFailure("The address is not one of a server.") from None
        # Neither the path nor the query, which may have a code; and servers of others are not sent a ``traceparent``.
        attributes = {"http.request.method": request.method, "server.address": host}
        with tracing.client_span(request.method, attributes) as span:
            response = self._fetch(request, seconds)
            span.set_attribute("http.response.status_code", response.status)
            return response

    def _fetch(self, request: HTTPRequest, seconds: float) -> HTTPResponse:
        until = time.monotonic() + seconds
        try:
            connection = self._connection(request.url, seconds)
        except (ValueError, HTTPException):
            raise HTTPFailure("The address is not one of a server.") from None
        if not self._slots.acquire(timeout=max(0.0, seconds)):
            raise HTTPFailure("Too many requests are under way.")
        pending = _PendingRequest(request, connection, self._slots, self._max_bytes)
        pending.launch()
        if not pending.done.wait(max(0.0, until - time.monotonic())):
            pending.abandon()
            raise HTTPFailure(f"The server did not answer within {seconds:.3g} s.")
        if pending.response is None:
            raise HTTPFailure(pending.error)
        return pending.response

    def _connection(self, url: str, seconds: float) -> "_Connection":
        parts = urlsplit(url)
        # Later than the caller gives up: its time limit ends what nobody waits for any more.
        host, timeout = parts.hostname or "", max(seconds, 0.0) + 0.5
        if parts.scheme == "https":
            return _TLSConnection(host, parts.port, timeout=timeout, context=self._tls)
        return _Connection(host, parts.port, timeout=timeout)


class _Response(StandardResponse):
    """A response of at most ``max_bytes``, with all that http.client reads in loops: 100 Continue, chunks, trailers."""

    def __init__(self, connection: socket.socket, *, max_bytes: int, method: str | None = None) -> None:
        super().__init__(connection, method=method)
        self.fp.close()
        self.fp = LimitedReader(connection, max_bytes)


class _Connection(HTTPConnection):
    """A connection that shows its socket to ``connected`` before anything is sent, which may raise."""

    connected: Callable[[socket.socket], None]

    def connect(self) -> None:
        """Connect over TCP."""
        super().connect()
        self.connected(self.sock)


class _TLSConnection(HTTPSConnection, _Connection):
    """The same with TLS, of which the handshake comes after ``connected``, by the order of the base classes."""


class _PendingRequest:
    """One request, on a thread of its own (a greenlet under gevent).

    A time limit on the socket bounds neither the look-up of a name nor a server that sends a byte now and then.
    """

    def __init__(
        self, request: HTTPRequest, connection: _Connection, slots: threading.BoundedSemaphore, max_bytes: int
    ) -> None:
        self._request, self._connection = request, connection
        self._slots, self._max_bytes = slots, max_bytes
        self._wire: socket.socket | None = None
        self._is_given_up = False
        connection.connected = self._check
        # Chunks of a few bytes are longer with their lengths than without.
        limit = 2 * max_bytes + _ENVELOPE_BYTES
        connection.response_class = partial(_Response, max_bytes=limit)  # type: ignore[assignment]
        self.done = threading.Event()
        self.response: HTTPResponse | None = None
        self.error = "The server could not be reached."

    def launch(self) -> None:
        """Start the thread; ``done`` is set when there is a response or an error."""
        try:
            # Not an executor: at its end, the process would wait for a server that hangs.
            _thread.start_new_thread(self._work, ())
        except RuntimeError:
            self.error = "There is no room for another thread."
            self._finish()

    def abandon(self) -> None:
        """Hang up, so that the thread ends; before there is a connection, it ends when there is one."""
        self._is_given_up = True
        if self._wire is not None:
            with suppress(OSError):
                self._wire.shutdown(socket.SHUT_RDWR)

    def _check(self, connected: socket.socket) -> None:
        # A second handle: TLS takes the first one over, and the reader of a response takes it from the connection.
        self._wire = connected.dup()
        if self._request.public_only and not _is_public(connected.getpeername()[0]):
            raise HTTPFailure("The host has a private address.")
        self._require_wanted()

    def _require_wanted(self) -> None:
        if self._is_given_up:
            raise HTTPFailure("Nobody waits for the answer any more.")

    def _work(self) -> None:
        try:
            self._connection.connect()
            self._require_wanted()  # the request may have a code and a client secret
            self._read_response()
        except HTTPFailure as failure:
            self.error = str(failure)
        except ReadLimitExceeded:
            self.error = "The answer is too long."
        except (OSError, HTTPException, ValueError) as failure:
            self.error = f"The server could not be reached: {type(failure).__name__}."
        finally:
            self._finish()

    def _read_response(self) -> None:
        request, url = self._request, urlsplit(self._request.url)
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        self._connection.request(request.method, path, request.body, {**_HEADERS, **request.headers})
        received = self._connection.getresponse()
        body = received.read(self._max_bytes + 1)
        if len(body) > self._max_bytes:
            self.error = f"The answer is longer than {self._max_bytes} bytes."
        elif received.length:
            self.error = "The answer ended early."
        else:
            self.response = HTTPResponse(received.status, body)

    def _finish(self) -> None:
        self._connection.close()
        if self._wire is not None:
            self._wire.close()
        self._slots.release()
        self.done.set()


def _is_public(host: str) -> bool:
    # Of the connected socket: a name may resolve otherwise between a check and the connection.
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return _is_public(str(address.ipv4_mapped))
        if address not in _GLOBAL_UNICAST or any(address in tunnel for tunnel in _TUNNELS):
            return False
    return address.is_global and not address.is_multicast
