"""Sending by SMTP (RFC 5321), with STARTTLS (RFC 3207) or implicit TLS (RFC 8314), on the standard library's client.

The client waits on sockets and threads alone, so under gunicorn's gevent worker it blocks no request.
"""

import smtplib
from collections.abc import Sequence
from contextlib import suppress
from email.message import EmailMessage

from authapp.config import MailServer
from authapp.domain.mail.smtp_client import ConnectionDeadline, SMTPClient
from authapp.domain.mail.smtp_failures import connection_failure, failure_of, reply_of, reply_text
from authapp.domain.mail.transports import (
    ASCII_POLICY,
    UTF8_POLICY,
    RecipientRefused,
    ServerUnavailable,
    TemporaryFailure,
    TransportKind,
    mail_transports,
    needs_utf8,
)

MAILS_PER_CONNECTION = 20
"""Servers limit it, and a new connection may reach another one of several."""

GOODBYE_SECONDS = 2.0
"""How long the server may take to answer QUIT. No mail depends on it."""

_OK = 250
_RECIPIENT_ACCEPTED = {250, 251}
"""The replies to RCPT; 251 says that the server passes the mail on."""


class SMTPTransport:
    """Sends by one connection for up to ``MAILS_PER_CONNECTION`` mails.

    Certificates and host names are checked. Without TLS neither a password nor a mail is sent, unless the settings say
    ``?starttls=off``.
    """

    def __init__(self, server: MailServer, from_address: str, timeout: float) -> None:
        """Take the address of the envelope, and how many seconds a connection and each mail may take in total."""
        self._server, self._from_address, self._timeout = server, from_address, timeout
        self._client: SMTPClient | None = None
        self._transactions = 0
        """Mail transactions (RFC 5321, 3.3), which MAIL begins."""

    def open(self) -> None:
        """Connect and log in, unless that has been done. Raises ``ServerUnavailable``."""
        if self._transactions >= MAILS_PER_CONNECTION:
            self.close()
        if self._client is None:
            with ConnectionDeadline(self._timeout) as deadline:
                self._connect(deadline)

    def send(self, message: EmailMessage, recipient: str) -> None:
        """Hand over a mail; see ``Transport.send``."""
        utf8 = needs_utf8(recipient)
        data = message.as_bytes(policy=UTF8_POLICY if utf8 else ASCII_POLICY)
        with ConnectionDeadline(self._timeout) as deadline:
            client = self._begin(["SMTPUTF8", "BODY=8BITMIME"] if utf8 else [], deadline)
            self._send_rcpt_command(client, recipient, deadline)
            self._hand_over(client, data, recipient, deadline)

    def close(self) -> None:
        """Say goodbye and close the connection, if there is one."""
        client, self._client, self._transactions = self._client, None, 0
        if client is not None:
            with suppress(OSError), ConnectionDeadline(min(GOODBYE_SECONDS, self._timeout)) as deadline:
                client.keep_to(deadline)
                client.quit()
            client.close()

    def _connect(self, deadline: ConnectionDeadline) -> None:
        client = None
        try:
            client = SMTPClient(self._server, self._from_address, deadline)
            client.secure_and_log_in()
        except (OSError, UnicodeError) as error:
            if client is not None:
                client.close()
            raise ServerUnavailable(connection_failure(error, deadline)) from None
        except ServerUnavailable:
            client.close()  # type: ignore[union-attr]  # only what follows its construction raises this
            raise
        self._client, self._transactions = client, 0

    def _begin(self, options: Sequence[str], deadline: ConnectionDeadline) -> SMTPClient:
        """Name the sender. Servers close connections that have been idle or used often: then connect again, once."""
        if self._client is not None and self._transactions:
            self._client.keep_to(deadline)
            with suppress(OSError):
                if self._send_mail_command(self._client, options)[0] == _OK:
                    return self._client
            self._drop()
        if self._client is None:
            self._connect(deadline)
        client = self._client
        assert client is not None  # noqa: S101 - for the type checker
        client.keep_to(deadline)
        try:
            code, reply = self._send_mail_command(client, options)
        except OSError as error:
            self._drop()
            raise ServerUnavailable(connection_failure(error, deadline)) from None
        if code != _OK:
            self._drop()
            raise ServerUnavailable(f"The server refuses the sender: {reply_text(code, reply)}.")
        return client

    def _send_mail_command(self, client: SMTPClient, options: Sequence[str]) -> tuple[int, bytes]:
        """Name the sender, and return the reply.

        Raises ``RecipientRefused`` or ``TemporaryFailure`` if it is the ``options`` that the server refuses: they are
        those of one recipient, whom a guest may have chosen, and must not make all other mails wait.
        """
        # A refused mail counts as well: after it, the server may close the connection, and then we connect again.
        self._transactions += 1
        if "SMTPUTF8" in options and not client.has_extn("smtputf8"):
            raise RecipientRefused("The address needs SMTPUTF8, which the server does not offer.")
        code, reply = client.mail(self._from_address, options)
        if code != _OK and options and self._accepts_sender(client):
            raise failure_of(code, reply, recipient="")
        return code, reply

    def _accepts_sender(self, client: SMTPClient) -> bool:
        """Tell whether the server accepts the sender without options; not if it hangs up before it says so."""
        code = 0
        # What the server has answered counts, also if it hangs up then.
        with suppress(OSError):
            client.rset()
            code = client.mail(self._from_address)[0]
            client.rset()
        return code == _OK

    def _send_rcpt_command(self, client: SMTPClient, recipient: str, deadline: ConnectionDeadline) -> None:
        try:
            code, reply = client.rcpt(recipient)
        except OSError as error:
            self._drop()
            raise TemporaryFailure(connection_failure(error, deadline)) from None
        if code in _RECIPIENT_ACCEPTED:
            return
        try:
            client.rset()
        except OSError:
            # The server has answered before it hung up, and that counts.
            self._drop()
        raise failure_of(code, reply, recipient)

    def _hand_over(self, client: SMTPClient, data: bytes, recipient: str, deadline: ConnectionDeadline) -> None:
        try:
            code, reply = client.data(data)
        except smtplib.SMTPDataError as error:
            # The server did not want to see the mail.
            self._drop()
            raise failure_of(*reply_of(error), recipient) from None
        except OSError as error:
            self._drop()
            raise TemporaryFailure(connection_failure(error, deadline), may_have_arrived=True) from None
        if code != _OK:
            raise failure_of(code, reply, recipient)

    def _drop(self) -> None:
        """Close the connection without a word: the server does not answer, or is in an unknown state."""
        client, self._client, self._transactions = self._client, None, 0
        if client is not None:
            client.close()


mail_transports.register("smtp", TransportKind(SMTPTransport))
