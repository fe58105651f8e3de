"""A connection to an SMTP server, on the standard library's client, that a deadline can shut down."""

import smtplib
import socket
import ssl

from authapp.config import MailServer
from authapp.domain.email.deadlines import ConnectionDeadline
from authapp.domain.email.transports import ServerUnavailable


class SMTPClient(smtplib.SMTP):
    """The standard library's client on a connection that a deadline can shut down.

    Depends on a private name of ``smtplib``: ``SMTP._get_socket(host, port, timeout)`` returns the socket to use.
    """

    _handle: socket.socket
    """A duplicate of the connection's socket, which stays when TLS replaces that."""

    def __init__(self, server: MailServer, sender: str, deadline: ConnectionDeadline) -> None:
        self._server, self._deadline = server, deadline
        # The standard library would ask the name servers for the name of this host, without a deadline.
        host_name = socket.gethostname()
        name = host_name if "." in host_name else sender.rpartition("@")[2]
        super().__init__(server.host, server.port, name, timeout=deadline.seconds)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection = self._deadline.connect(host, port)
        self._handle = connection.dup()
        self.keep_to(self._deadline)
        if self._server.tls != "implicit":
            return connection
        try:
            return ssl.create_default_context().wrap_socket(connection, server_hostname=host)
        except OSError:
            connection.close()
            self._handle.close()
            raise

    def keep_to(self, deadline: ConnectionDeadline) -> None:
        """Shut the connection down at the end of ``deadline``."""
        self._deadline = deadline
        deadline.watch(self._handle)

    def getreply(self) -> tuple[int, bytes]:
        """Read a reply. Raises ``smtplib.SMTPServerDisconnected`` if it is none.

        The standard library takes what came before the end of a connection for a whole line.
        """
        code, reply = super().getreply()
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
            self.starttls(context=ssl.create_default_context())
            self.ehlo_or_helo_if_needed()
        if self._server.username:
            self.login(self._server.username, self._server.password)

    def close(self) -> None:
        """Close the connection."""
        super().close()
        if hasattr(self, "_handle"):
            self._handle.close()
