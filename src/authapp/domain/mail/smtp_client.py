"""The standard library's SMTP client, and the limit on the total time that its connection may take."""

import errno
import smtplib
import socket
import ssl
import threading
import time
from contextlib import suppress
from typing import Any, Self

from authapp import native_threads
from authapp.config import MailServer
from authapp.domain.failures import printable
from authapp.domain.limited_reader import LimitedReader, ReadLimitExceeded
from authapp.domain.mail.transports import ServerUnavailable

_METHODS = frozenset({"CRAM-MD5", "PLAIN", "LOGIN"})
"""The methods to log in that ``smtplib`` knows, all of them with a password. It names them in no error."""

MAX_REPLY_BYTES = 65_536
"""Of one reply, all its lines: a hundred of the longest that RFC 5321 allows (4.5.3.1.5)."""


class ConnectionDeadline:
    """A context manager that shuts a connection down if the block takes longer than ``seconds``.

    The timeout of a socket limits each wait by itself: a server that sends one byte per second could take for ever.
    Whatever waits for the connection then fails with an ``OSError``, also in the middle of a TLS handshake.
    """

    def __init__(self, seconds: float) -> None:
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

    @property
    def is_over(self) -> bool:
        """Whether the time is over, also if the timer has not run yet."""
        return time.monotonic() >= self._ends_at

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
        if self._handle is not None:
            # It may have been closed just now.
            with suppress(OSError):
                self._handle.shutdown(socket.SHUT_RDWR)


class SMTPClient(smtplib.SMTP):
    """The standard library's client on a connection that a deadline can shut down.

    Depends on a private name of ``smtplib``: ``SMTP._get_socket(host, port, timeout)`` returns the socket to use; and
    on ``SMTP.file``, from which it reads replies.
    """

    file: LimitedReader | None
    """The replies. The standard library makes it anew when TLS starts."""

    _handle: socket.socket
    """A duplicate of the connection's socket, which stays when TLS replaces that."""

    def __init__(self, server: MailServer, from_address: str, deadline: ConnectionDeadline) -> None:
        self._server, self._deadline = server, deadline
        self._login_refusal: smtplib.SMTPAuthenticationError | None = None
        # The standard library would ask the name servers for the name of this host, without a deadline.
        host_name = socket.gethostname()
        name = host_name if "." in host_name else from_address.rpartition("@")[2]
        super().__init__(server.host, server.port, name, timeout=deadline.seconds)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection = self._deadline.connect(host, port)
        self._handle = connection.dup()
        self.keep_to(self._deadline)
        if self._server.tls != "implicit":
            return connection
        try:
            return _tls_context().wrap_socket(connection, server_hostname=host)
        except OSError:
            connection.close()
            self._handle.close()
            raise

    def keep_to(self, deadline: ConnectionDeadline) -> None:
        """Shut the connection down at the end of ``deadline``."""
        self._deadline = deadline
        deadline.watch(self._handle)

    def getreply(self) -> tuple[int, bytes]:
        """Read a reply. Raises ``smtplib.SMTPServerDisconnected`` if it is none, ``OSError`` if it is too long.

        The standard library takes what came before the end of a connection for a whole line, and reads any number.
        """
        if self.file is None:
            assert self.sock is not None  # noqa: S101 - for the type checker
            self.file = LimitedReader(self.sock, MAX_REPLY_BYTES)
        self.file.allow(MAX_REPLY_BYTES)
        try:
            code, reply = super().getreply()
        except ReadLimitExceeded:
            self.close()
            raise OSError(errno.EMSGSIZE, "a reply is too long") from None
        if self._deadline.is_over or not 200 <= code <= 599:
            self.close()
            raise smtplib.SMTPServerDisconnected("The reply was cut off.")
        return code, reply

    def secure_and_log_in(self) -> None:
        """Start TLS and log in, as the settings say. Raises ``ServerUnavailable``, ``OSError`` or ``UnicodeError``."""
        self.ehlo_or_helo_if_needed()
        if self._server.tls == "starttls":
            if not self.has_extn("starttls"):
                raise ServerUnavailable("The server does not offer STARTTLS, which the settings require.")
            self.starttls(context=_tls_context())
            self.ehlo_or_helo_if_needed()
        if self._server.username:
            self._log_in()

    def _log_in(self) -> None:
        offered = self.esmtp_features.get("auth", "").split()
        if offered and not _METHODS.intersection(offered):
            raise ServerUnavailable(printable(f"The server offers no login by password: {' '.join(offered)}."))
        try:
            self.login(self._server.username, self._server.password)
        except smtplib.SMTPServerDisconnected:
            # The standard library goes on with another method, and the server may hang up after a wrong password.
            if self._login_refusal is not None:
                raise self._login_refusal from None
            raise

    def auth(self, mechanism: str, authobject: Any, *, initial_response_ok: bool = True) -> tuple[int, bytes]:
        """Log in by one method, and keep the refusal."""
        try:
            return super().auth(mechanism, authobject, initial_response_ok=initial_response_ok)
        except smtplib.SMTPAuthenticationError as refusal:
            self._login_refusal = refusal
            raise

    def close(self) -> None:
        """Close the connection."""
        super().close()
        if hasattr(self, "_handle"):
            self._handle.close()


def _tls_context() -> ssl.SSLContext:
    # To read the certificates of all authorities takes some 40 ms, in which an event loop would serve nobody.
    return native_threads.run(ssl.create_default_context)
