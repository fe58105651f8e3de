"""Real SMTP servers: with STARTTLS and a login, and as faulty as a test wants them."""

# ruff: noqa: N802 - the names are those of aiosmtpd

import gc
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd import smtp
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

from authapp.config import MailServer
from ports import free_port

USERNAME, PASSWORD = "authapp", "s%cret"


@dataclass
class Mailbox:
    """What a server took, and how it answers: set an answer, and it is given in place of 250."""

    messages: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    connections: int = 0
    mail_answer: Callable[[str], str | None] = lambda _: None
    utf8_answer: str | None = None
    """The answer to a sender that is named with SMTPUTF8."""
    recipient_answer: Callable[[str], str | None] = lambda _: None
    data_answer: Callable[[EmailMessage], str | None] = lambda _: None

    async def handle_EHLO(
        self, _server: smtp.SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self.connections += session.ssl is None
        return responses

    async def handle_MAIL(
        self, _server: smtp.SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if (answer := self.utf8_answer if envelope.smtp_utf8 else self.mail_answer(address)) is None:
            envelope.mail_from, envelope.mail_options = address, options
        return answer or "250 OK"

    async def handle_RCPT(
        self, _server: smtp.SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if (answer := self.recipient_answer(address)) is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, _server: smtp.SMTP, _session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        policy = SMTPUTF8 if envelope.smtp_utf8 else SMTP
        message = message_from_bytes(envelope.content, policy=policy)
        assert isinstance(message, EmailMessage)
        if answer := self.data_answer(message):
            return answer
        self.messages.append(message)
        self.recipients += envelope.rcpt_tos
        return "250 OK"

    @property
    def ids(self) -> list[str]:
        return [message["Message-ID"] for message in self.messages]


@dataclass(frozen=True)
class MailHost:
    """A running server: its port, its mailbox, and the address for ``AUTHAPP_MAIL_URL``."""

    port: int
    mailbox: Mailbox
    tls: str = "starttls"

    @property
    def server(self) -> MailServer:
        tls: Any = self.tls
        return MailServer("smtp", host="localhost", port=self.port, tls=tls, username=USERNAME, password=PASSWORD)

    @property
    def url(self) -> str:
        scheme, option = ("smtps" if self.tls == "implicit" else "smtp"), "?starttls=off" if self.tls == "off" else ""
        return f"{scheme}://{USERNAME}:s%25cret@localhost:{self.port}{option}"


class Certificates:
    """A certificate authority, which the processes trust that have ``SSL_CERT_FILE`` set to ``file``."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self.file = folder / "authority.pem"
        self._authority.cert_pem.write_to_path(self.file)

    def context(self, host: str = "localhost", *, trusted: bool = True) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (self._authority if trusted else trustme.CA()).issue_cert(host).configure_cert(context)
        return context


@contextmanager
def mail_host(
    context: ssl.SSLContext | None,
    mailbox: Mailbox | None = None,
    *,
    port: int | None = None,
    implicit: bool = False,
    **options: Any,
) -> Iterator[MailHost]:
    """Run a server in a thread. Without a ``context``, it has no TLS."""
    mailbox = mailbox or Mailbox()

    def log_in(_server: object, _session: object, _envelope: object, _mechanism: str, given: Any) -> AuthResult:
        is_right = given == LoginPassword(USERNAME.encode(), PASSWORD.encode())
        return AuthResult(success=is_right, handled=False)

    tls = {"ssl_context": context} if implicit else {"tls_context": context, "require_starttls": context is not None}
    controller = Controller(
        mailbox,
        hostname="127.0.0.1",
        port=port or free_port(),
        authenticator=log_in,
        auth_required=context is not None and not implicit,
        auth_require_tls=context is not None and not implicit,
        enable_SMTPUTF8=options.pop("utf8", True),
        **tls,
        **options,
    )
    controller.start()
    try:
        yield MailHost(controller.port, mailbox, "implicit" if implicit else "starttls" if context else "off")
    finally:
        controller.stop()
        with warnings.catch_warnings():
            # It leaves the connections of clients that have not closed them.
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


@contextmanager
def raw_host(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Run a server that does with each connection what ``serve`` does; return its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=_served, args=(serve, connection), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@contextmanager
def cutting_proxy(port: int, *, after: bytes) -> Iterator[int]:
    """Run a proxy before the server at ``port`` that cuts a connection when the client has sent ``after``."""

    def serve(client: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", port)) as server:
            threading.Thread(target=_copy, args=(server, client), daemon=True).start()
            sent = b""
            while (data := client.recv(65_536)) and after not in (sent := sent + data):
                server.sendall(data)
            # What is in this piece up to the mark still arrives.
            server.sendall(data[: max(data.find(after), 0)])
            client.shutdown(socket.SHUT_RDWR)

    with raw_host(serve) as listening:
        yield listening


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)


def _served(serve: Callable[[socket.socket], None], connection: socket.socket) -> None:
    with connection:
        try:
            serve(connection)
        except OSError:
            return
