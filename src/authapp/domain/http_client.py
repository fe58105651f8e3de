"""Asking servers of others over HTTP: limited in time, in bytes, and in how many questions are asked at once.

Certificates are checked. Redirects are answers, and not followed; proxies of the environment are ignored.
"""

import _thread
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import ip_address
from types import MappingProxyType
from urllib.parse import urlsplit

_HEADERS = {"User-Agent": "authapp", "Connection": "close"}


class HTTPFailure(Exception):
    """The server could not be asked, or its answer not be read. The message is a sentence."""


@dataclass(frozen=True)
class HTTPQuestion:
    """A request to an absolute ``url``. With ``public_only``, it is not sent to a host with a private address."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    body: bytes | None = None
    public_only: bool = False


@dataclass(frozen=True)
class HTTPAnswer:
    """The status and the whole body of an answer."""

    status: int
    body: bytes


class HTTPClient:
    """Asks servers, at most ``at_once`` questions at a time, and reads answers of at most ``max_bytes``."""

    def __init__(self, *, at_once: int, max_bytes: int) -> None:
        self._slots = threading.BoundedSemaphore(at_once)
        self._max_bytes = max_bytes

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        # With the first question: to read the certificates of all authorities takes a tenth of the start of a worker.
        return ssl.create_default_context()

    def ask(self, question: HTTPQuestion, seconds: float) -> HTTPAnswer:
        """Return the answer. Raises ``HTTPFailure``, after ``seconds`` at the latest.

        They are counted from the look-up of the server's name to the last byte.
        """
        until = time.monotonic() + seconds
        try:
            connection = self._connection(question.url, seconds)
        except (ValueError, HTTPException):
            raise HTTPFailure("The address is not one of a server.") from None
        if not self._slots.acquire(timeout=max(0.0, seconds)):
            raise HTTPFailure("Too many questions are being asked at once.")
        asked = _Asked(question, connection, self._slots, self._max_bytes)
        asked.launch()
        if not asked.answered.wait(max(0.0, until - time.monotonic())):
            asked.abandon()
            raise HTTPFailure(f"The server did not answer within {seconds:.3g} s.")
        if asked.answer is None:
            raise HTTPFailure(asked.error)
        return asked.answer

    def _connection(self, url: str, seconds: float) -> HTTPConnection:
        parts = urlsplit(url)
        # Later than who asked gives up: its time limit ends what nobody waits for any more.
        host, timeout = parts.hostname or "", max(seconds, 0.0) + 0.5
        if parts.scheme == "https":
            return HTTPSConnection(host, parts.port, timeout=timeout, context=self._tls)
        return HTTPConnection(host, parts.port, timeout=timeout)


class _Asked:
    """One request, on a thread of its own (a greenlet under gevent).

    A time limit on the socket bounds neither the look-up of a name nor a server that sends a byte now and then.
    """

    def __init__(
        self, question: HTTPQuestion, connection: HTTPConnection, slots: threading.BoundedSemaphore, max_bytes: int
    ) -> None:
        self._question, self._connection = question, connection
        self._slots, self._max_bytes = slots, max_bytes
        self.answered = threading.Event()
        self.answer: HTTPAnswer | None = None
        self.error = "The server could not be asked."

    def launch(self) -> None:
        """Start the thread; ``answered`` is set when there is an answer or an error."""
        try:
            # Not an executor: at its end, the process would wait for a server that hangs.
            _thread.start_new_thread(self._ask, ())
        except RuntimeError:
            self.error = "There is no room for another thread."
            self._finish()

    def abandon(self) -> None:
        """Hang up, so that the thread ends. A handshake of TLS ends by the time limit of the socket."""
        if (connected := self._connection.sock) is not None:
            with suppress(OSError):
                # Not the method of a TLS socket, which would say goodbye first.
                socket.socket.shutdown(connected, socket.SHUT_RDWR)

    def _ask(self) -> None:
        try:
            self._connection.connect()
            if self._question.public_only and not _is_public(self._connection.sock):
                self.error = "The host has a private address."
                return
            self._read_answer()
        except (OSError, HTTPException, ValueError) as failure:
            self.error = f"The server could not be asked: {type(failure).__name__}."
        finally:
            self._finish()

    def _read_answer(self) -> None:
        question, url = self._question, urlsplit(self._question.url)
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        self._connection.request(question.method, path, question.body, {**_HEADERS, **question.headers})
        response = self._connection.getresponse()
        body = response.read(self._max_bytes + 1)
        if len(body) > self._max_bytes:
            self.error = f"The answer is longer than {self._max_bytes} bytes."
        elif response.length:
            self.error = "The answer ended early."
        else:
            self.answer = HTTPAnswer(response.status, body)

    def _finish(self) -> None:
        self._connection.close()
        self._slots.release()
        self.answered.set()


def _is_public(connected: socket.socket) -> bool:
    # On the socket: a name may resolve otherwise between a check and the connection.
    return ip_address(connected.getpeername()[0].partition("%")[0]).is_global
