"""A range API of breached passwords, such as that of Have I Been Pwned: it is asked for the start of a hash.

The answer has the ends of all hashes with that start, so the server learns neither the password nor its hash.
"""

import _thread
import socket
import ssl
import threading
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from authapp.domain.passwords.breach_source import LINE, PREFIX_LENGTH, SHA1_LENGTH, BreachSourceError

SECONDS = 1.0
"""How long one question may take in total, from the look-up of the server's name to the last byte."""

AT_ONCE = 4
"""How many questions a worker asks at once."""

MAX_BYTES = 256 * 1024
"""The longest answer that is read. Those of Have I Been Pwned have about 60 KiB, and grow with each breach."""

_HEADERS = {"Add-Padding": "true", "User-Agent": "authapp", "Accept": "text/plain", "Connection": "close"}


class RangeAPI:
    """Asks a server over HTTPS. Certificates are checked, redirects refused, and proxies of the environment ignored."""

    def __init__(self, address: str) -> None:
        """Take the address to which the first digits of a hash are appended."""
        url = urlsplit(address)
        self._host, self._port, self._path = url.hostname or "", url.port, url.path.rstrip("/") + "/"
        self._tls = ssl.create_default_context() if url.scheme == "https" else None
        self._slots = threading.BoundedSemaphore(AT_ONCE)

    def has_digest(self, digest: bytes) -> bool:
        """Return whether the server knows this hash. Raises ``BreachSourceError``, after ``SECONDS`` at the latest."""
        until = time.monotonic() + SECONDS
        if not self._slots.acquire(timeout=SECONDS):
            raise BreachSourceError("Too many passwords are being looked up at once.")
        question = _Question(self._connection(), self._path + digest[:PREFIX_LENGTH].decode(), self._slots)
        question.ask()
        if not question.answered.wait(max(0.0, until - time.monotonic())):
            question.abandon()
            raise BreachSourceError(f"The server did not answer within {SECONDS:g} s.")
        if question.error is not None:
            raise BreachSourceError(question.error)
        return _has(question.body, digest[PREFIX_LENGTH:])

    def check(self) -> None:
        """Do nothing: a question notices all that can be wrong."""

    def _connection(self) -> HTTPConnection:
        if self._tls is None:
            return HTTPConnection(self._host, self._port, timeout=SECONDS)
        return HTTPSConnection(self._host, self._port, timeout=SECONDS, context=self._tls)


class _Question:
    """One request, on a thread of its own (a greenlet under gevent).

    A time limit on the socket bounds neither the look-up of a name nor a server that sends a byte now and then.
    """

    def __init__(self, connection: HTTPConnection, path: str, slots: threading.BoundedSemaphore) -> None:
        self._connection, self._path, self._slots = connection, path, slots
        self.answered = threading.Event()
        self.body = b""
        self.error: str | None = None

    def ask(self) -> None:
        """Begin; ``answered`` is set when there is a body or an error."""
        try:
            # Not an executor: at its end, the process would wait for a server that hangs.
            _thread.start_new_thread(self._ask, ())
        except RuntimeError:
            self._finish("There is no room for another thread.")

    def _ask(self) -> None:
        error: str | None = "The server could not be asked."
        try:
            self._connection.request("GET", self._path, headers=_HEADERS)
            response = self._connection.getresponse()
            self.body = response.read(MAX_BYTES + 1)
            error = _problem(response.status, len(self.body), response.length)
        except (OSError, HTTPException, ValueError) as failure:
            error = f"The server could not be asked: {type(failure).__name__}."
        finally:
            self._finish(error)

    def abandon(self) -> None:
        """Hang up, so that the thread ends. A handshake of TLS ends by the time limit of the socket."""
        if (connected := self._connection.sock) is not None:
            with suppress(OSError):
                # Not the method of a TLS socket, which would say goodbye first.
                socket.socket.shutdown(connected, socket.SHUT_RDWR)

    def _finish(self, error: str | None) -> None:
        self.error = error
        self._connection.close()
        self._slots.release()
        self.answered.set()


def _problem(status: int, size: int, missing: int | None) -> str | None:
    if status != 200:
        return f"The server answered {status}."
    if size > MAX_BYTES:
        return f"The answer is longer than {MAX_BYTES} bytes."
    return "The answer ended early." if missing else None


def _has(body: bytes, end: bytes) -> bool:
    """Return whether the answer has this end of a hash. Raises ``BreachSourceError`` for what is no range."""
    lines = [LINE.fullmatch(line) for line in body.split()]
    if not lines or any(
        line is None or line[2] is None or len(line[1]) != SHA1_LENGTH - PREFIX_LENGTH for line in lines
    ):
        raise BreachSourceError("The answer is not a range of hashes.")
    return any(line and line[1].upper() == end and int(line[2]) > 0 for line in lines)
