"""The SMTP transport against real servers: TLS, logins, refusals, silence, and connections that break."""

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path

import pytest

from authapp.config import MailServer
from authapp.domain.mail.smtp import MAILS_PER_CONNECTION, SMTPTransport
from authapp.domain.mail.transports import ASCII_POLICY, RecipientRefused, ServerUnavailable, TemporaryFailure
from mail_servers import PASSWORD, USERNAME, Certificates, Mailbox, mail_host, raw_host

SENDER = "no-reply@example.com"
ADA = "ada@example.com"
UEDA = "\u00fcda@example.com"
QUICK = 1.0


@pytest.fixture
def certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Certificates:
    made = Certificates(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    return made


def a_message(number: int = 1, to: str = ADA) -> EmailMessage:
    message = EmailMessage(policy=ASCII_POLICY)
    message["From"], message["Subject"] = SENDER, "Hello"
    local_part, _, domain = to.rpartition("@")
    message["To"] = Address(username=local_part, domain=domain)
    message["Message-ID"] = f"<{number}@example.com>"
    message.set_content("Dots at the start:\n.\n..\n")
    return message


@pytest.fixture
def opened() -> Iterator[Callable[..., SMTPTransport]]:
    transports = []

    def make(server: MailServer, timeout: float = 10) -> SMTPTransport:
        transports.append(SMTPTransport(server, SENDER, timeout))
        return transports[-1]

    yield make
    for transport in transports:
        transport.close()


Opened = Callable[..., SMTPTransport]


@pytest.mark.parametrize("implicit", [False, True])
def test_a_mail_is_sent_by_tls_with_a_login(certificates: Certificates, opened: Opened, implicit: bool) -> None:
    with mail_host(certificates.context(), implicit=implicit) as host:
        transport = opened(host.server)
        transport.open()
        transport.send(a_message(), ADA)
        transport.close()
    assert host.mailbox.ids == ["<1@example.com>"]
    assert host.mailbox.recipients == [ADA]
    assert host.mailbox.messages[0].get_content().splitlines() == ["Dots at the start:", ".", ".."]


def test_a_server_without_tls_gets_neither_the_password_nor_a_mail(certificates: Certificates, opened: Opened) -> None:
    with mail_host(None) as host:
        server = MailServer("smtp", host="localhost", port=host.port, username=USERNAME, password=PASSWORD)
        with pytest.raises(ServerUnavailable, match="does not offer STARTTLS"):
            opened(server).open()
        assert host.mailbox.messages == []
        transport = opened(host.server)
        transport.open()
        transport.send(a_message(), ADA)
    assert len(host.mailbox.messages) == 1, "?starttls=off says that it may"


@pytest.mark.parametrize(
    ("host_name", "trusted", "words"),
    [("mail.example.org", True, "ostname mismatch"), ("localhost", False, "certificate")],
)
@pytest.mark.parametrize("implicit", [False, True])
def test_a_certificate_of_another_host_or_authority_is_not_accepted(
    certificates: Certificates, opened: Opened, host_name: str, trusted: bool, words: str, implicit: bool
) -> None:
    with (
        mail_host(certificates.context(host_name, trusted=trusted), implicit=implicit) as host,
        pytest.raises(ServerUnavailable, match=rf"not accepted: .*{words}"),
    ):
        opened(host.server).open()


def test_a_wrong_password_is_the_servers_no_to_all(certificates: Certificates, opened: Opened) -> None:
    with mail_host(certificates.context()) as host:
        server = MailServer("smtp", host="localhost", port=host.port, username=USERNAME, password="wrong")
        with pytest.raises(ServerUnavailable, match="refuses the login: 535"):
            opened(server).open()


def test_a_server_that_is_not_there_is_unavailable(opened: Opened) -> None:
    with raw_host(lambda _: None) as port:
        pass
    with pytest.raises(ServerUnavailable, match="Connection refused"):
        opened(MailServer("smtp", host="127.0.0.1", port=port)).open()
    with pytest.raises(ServerUnavailable, match="resolved"):
        opened(MailServer("smtp", host="nothing.invalid", port=port)).open()


REFUSED, LATER = RecipientRefused, TemporaryFailure


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        ("550 5.1.1 No such user", REFUSED),
        ("553 What is this?", REFUSED),
        ("450 4.2.0 Greylisted", LATER),
        ("452 4.2.2 Mailbox full", LATER),
        ("554 5.7.1 Relay access denied", LATER),
        ("530 5.7.0 Log in first", LATER),
        ("503 Bad sequence", LATER),
    ],
)
@pytest.mark.parametrize("at_data", [False, True])
def test_a_refusal_is_of_this_mail_alone(
    certificates: Certificates, opened: Opened, answer: str, failure: type[Exception], at_data: bool
) -> None:
    box = Mailbox()
    if at_data:
        box.data_answer = lambda message: answer if message["Message-ID"] == "<1@example.com>" else None
    else:
        box.recipient_answer = lambda address: answer if address == ADA else None
    with mail_host(certificates.context(), box) as host:
        transport = opened(host.server)
        with pytest.raises(failure, match=answer[:3]) as error:
            transport.send(a_message(1), ADA)
        transport.send(a_message(2), "grace@example.com")
    assert not getattr(error.value, "may_have_arrived", False)
    assert box.ids == ["<2@example.com>"]
    assert box.connections == 1


def test_what_a_server_says_of_an_address_is_left_out(certificates: Certificates, opened: Opened) -> None:
    box = Mailbox(recipient_answer=lambda address: f"550 5.1.1 <{address}>: no such user\x07 here")
    with mail_host(certificates.context(), box) as host, pytest.raises(RecipientRefused) as error:
        opened(host.server).send(a_message(), ADA)
    assert "ada" not in str(error.value)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("answer", ["550 5.1.8 Sender unknown", "451 4.7.1 Too many mails today", "421 Closing"])
def test_a_refused_sender_concerns_all_mails(certificates: Certificates, opened: Opened, answer: str) -> None:
    box = Mailbox(mail_answer=lambda _: answer)
    with (
        mail_host(certificates.context(), box) as host,
        pytest.raises(ServerUnavailable, match=f"refuses the sender: {answer[:3]}"),
    ):
        opened(host.server).send(a_message(), ADA)


def test_a_connection_is_used_for_twenty_mails(certificates: Certificates, opened: Opened) -> None:
    with mail_host(certificates.context()) as host:
        transport = opened(host.server)
        for number in range(MAILS_PER_CONNECTION + 1):
            transport.open()
            transport.send(a_message(number), ADA)
    assert len(set(host.mailbox.ids)) == MAILS_PER_CONNECTION + 1
    assert host.mailbox.connections == 2


@pytest.mark.parametrize("refused", [False, True])
def test_a_connection_that_the_server_has_closed_since_is_opened_again(
    certificates: Certificates, opened: Opened, refused: bool
) -> None:
    box = Mailbox(recipient_answer=lambda address: "550 5.1.1 No such user" if address != ADA else None)
    with mail_host(certificates.context(), box, timeout=1) as host:
        transport = opened(host.server)
        with pytest.raises(RecipientRefused) if refused else nullcontext():
            transport.send(a_message(1), "grace@example.com" if refused else ADA)
        time.sleep(2)
        transport.open()
        transport.send(a_message(2), ADA)
    assert host.mailbox.ids[-1] == "<2@example.com>"
    assert box.connections == 2


def talk(*answers: bytes | Callable[[socket.socket], None]) -> Callable[[socket.socket], None]:
    """Return a server that gives these answers, one to each line, the first of them as its greeting."""

    def serve(connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:
            for number, answer in enumerate(answers):
                if number and not lines.readline():
                    return
                if callable(answer):
                    answer(connection)
                else:
                    connection.sendall(answer)

    return serve


def dribble(connection: socket.socket) -> None:
    for _ in range(200):
        connection.sendall(b"2")
        time.sleep(0.1)


def say_nothing(_connection: socket.socket) -> None:
    threading.Event().wait(20)


def hang_up(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def hang_up_in_the_middle_of_an_answer(connection: socket.socket) -> None:
    connection.sendall(b"25")
    hang_up(connection)


HELLO = (b"220 here\r\n", b"250 here\r\n")
UNTIL_DATA = (*HELLO, b"250 sender\r\n", b"250 recipient\r\n", b"354 go on\r\n")


@pytest.mark.parametrize("answers", [(say_nothing,), (dribble,), (b"220 here\r\n", dribble), (b"220-", dribble)])
def test_opening_a_connection_has_a_deadline_in_total(opened: Opened, answers: tuple[bytes, ...]) -> None:
    with raw_host(talk(*answers)) as port:
        start = time.monotonic()
        with pytest.raises(ServerUnavailable, match="did not finish within 1 s"):
            opened(MailServer("smtp", host="127.0.0.1", port=port, tls="off"), QUICK).open()
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("step", [2, 3, 4, 5])
@pytest.mark.parametrize("fault", [dribble, say_nothing])
def test_a_mail_has_a_deadline_in_total(opened: Opened, step: int, fault: Callable[[socket.socket], None]) -> None:
    with raw_host(talk(*UNTIL_DATA[:step], fault)) as port:
        start = time.monotonic()
        with pytest.raises((ServerUnavailable, TemporaryFailure), match="did not finish within 1 s"):
            opened(MailServer("smtp", host="127.0.0.1", port=port, tls="off"), QUICK).send(a_message(), ADA)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("implicit", [False, True])
def test_a_tls_handshake_has_a_deadline_in_total(opened: Opened, implicit: bool) -> None:
    def serve(connection: socket.socket) -> None:
        if not implicit:
            talk(b"220 here\r\n", b"250-here\r\n250 STARTTLS\r\n", b"220 go on\r\n")(connection)
        for _ in range(200):
            connection.sendall(b"\x16\x03\x03\x10\x00" if not _ else b"\x00")
            time.sleep(0.1)

    with raw_host(serve) as port:
        start = time.monotonic()
        server = MailServer("smtp", host="127.0.0.1", port=port, tls="implicit" if implicit else "starttls")
        with pytest.raises(ServerUnavailable):
            opened(server, QUICK).open()
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(("step", "may_have_arrived"), [(3, False), (4, True), (5, True)])
@pytest.mark.parametrize("hang_up", [hang_up, hang_up_in_the_middle_of_an_answer])
def test_a_hang_up_after_the_mail_was_handed_over_leaves_it_open(
    opened: Opened, step: int, may_have_arrived: bool, hang_up: Callable[[socket.socket], None]
) -> None:
    with (
        raw_host(talk(*UNTIL_DATA[:step], hang_up)) as port,
        pytest.raises(TemporaryFailure) as error,
    ):
        opened(MailServer("smtp", host="127.0.0.1", port=port, tls="off"), 5).send(a_message(), ADA)
    assert error.value.may_have_arrived is may_have_arrived


NO_USER, NO_OPTION = b"550 5.1.1 No such user\r\n", b"555 5.5.4 No such parameter\r\n"
HELLO_UTF8 = (b"220 here\r\n", b"250-here\r\n250 SMTPUTF8\r\n")


@pytest.mark.parametrize(
    ("recipient", "answers", "failure", "reason"),
    [
        (ADA, (*HELLO, b"250 sender\r\n", NO_USER), RecipientRefused, "550 5.1.1 No such user"),
        (UEDA, (*HELLO_UTF8, NO_OPTION, b"250 reset\r\n", b"250 sender\r\n"), RecipientRefused, "555 5.5.4"),
        (UEDA, (*HELLO_UTF8, NO_OPTION, b"250 reset\r\n"), ServerUnavailable, "refuses the sender: 555 5.5.4"),
        (UEDA, (*HELLO_UTF8, NO_OPTION), ServerUnavailable, "refuses the sender: 555 5.5.4"),
    ],
)
def test_an_answer_before_a_hang_up_counts(
    opened: Opened, recipient: str, answers: tuple[bytes, ...], failure: type[Exception], reason: str
) -> None:
    with raw_host(talk(*answers, hang_up)) as port, pytest.raises(failure, match=reason):
        opened(MailServer("smtp", host="127.0.0.1", port=port, tls="off"), 5).send(a_message(1, recipient), recipient)


@pytest.mark.parametrize(
    ("methods", "reason"),
    [
        ("PLAIN LOGIN", r"refuses the login: 535 5\.7\.8 Wrong password\.$"),
        ("XOAUTH2 GSSAPI", r"^The server offers no login by password: XOAUTH2 GSSAPI\.$"),
    ],
)
def test_a_login_that_the_server_refuses_or_does_not_offer_is_named(opened: Opened, methods: str, reason: str) -> None:
    offer = f"250-here\r\n250 AUTH {methods}\r\n".encode()
    answers = (b"220 here\r\n", offer, b"535 5.7.8 Wrong password\r\n", hang_up)
    with raw_host(talk(*answers)) as port, pytest.raises(ServerUnavailable, match=reason):
        opened(MailServer("smtp", host="127.0.0.1", port=port, tls="off", username="a", password="b"), 5).open()


def test_what_was_sent_before_tls_started_is_not_taken_for_an_answer(
    certificates: Certificates, opened: Opened
) -> None:
    """Somebody on the line can add answers to the plain one, for the client to read after the handshake."""

    def serve(connection: socket.socket) -> None:
        talk(b"220 here\r\n", b"250-here\r\n250 STARTTLS\r\n", b"220 go on\r\n250-injected\r\n250 AUTH PLAIN\r\n")(
            connection
        )
        with certificates.context().wrap_socket(connection, server_side=True) as secured:
            talk(b"", b"502 no EHLO\r\n", b"502 no HELO\r\n")(secured)

    with raw_host(serve) as port, pytest.raises(ServerUnavailable):
        opened(MailServer("smtp", host="localhost", port=port), 5).open()


def test_an_address_that_is_not_ascii_needs_a_server_that_offers_it(certificates: Certificates, opened: Opened) -> None:
    address = "jörg@xn--bcher-kva.example"
    with mail_host(certificates.context(), utf8=False) as host:
        transport = opened(host.server)
        with pytest.raises(RecipientRefused, match="SMTPUTF8"):
            transport.send(a_message(1, address), address)
        transport.send(a_message(2), ADA)
    assert host.mailbox.ids == ["<2@example.com>"]
    with mail_host(certificates.context(), utf8=True) as host:
        transport = opened(host.server)
        transport.send(a_message(3, address), address)
        transport.send(a_message(4), ADA)
    assert host.mailbox.recipients == [address, ADA]
    assert host.mailbox.messages[0]["To"] == address


@pytest.mark.parametrize(
    ("answer", "failure"),
    [("555 5.5.4 No such parameter", REFUSED), ("550 5.6.7 No", REFUSED), ("451 4.3.0 Not now", LATER)],
)
def test_a_server_that_refuses_the_options_of_one_mail_refuses_that_mail_alone(
    certificates: Certificates, opened: Opened, answer: str, failure: type[Exception]
) -> None:
    box = Mailbox(utf8_answer=answer)
    with mail_host(certificates.context(), box) as host:
        transport = opened(host.server)
        for number in (1, 2):
            with pytest.raises(failure, match=answer[:3]):
                transport.send(a_message(number, UEDA), UEDA)
            transport.send(a_message(10 + number), ADA)
    assert box.ids == ["<11@example.com>", "<12@example.com>"]
    assert box.connections == 1


def test_a_server_that_refuses_the_sender_anyway_does_not_blame_a_mail_with_options(
    certificates: Certificates, opened: Opened
) -> None:
    box = Mailbox(utf8_answer="550 5.1.8 Sender unknown", mail_answer=lambda _: "550 5.1.8 Sender unknown")
    with (
        mail_host(certificates.context(), box) as host,
        pytest.raises(ServerUnavailable, match="refuses the sender: 550"),
    ):
        opened(host.server).send(a_message(1, UEDA), UEDA)


def test_a_connection_that_breaks_within_the_text_leaves_the_mail_open(opened: Opened) -> None:
    """The mail is larger than what the system holds for a server that does not read, so the cut is within it."""
    message = a_message()
    message.set_content("A long line of text.\n" * 1_000_000)

    def read_a_little_and_hang_up(connection: socket.socket) -> None:
        connection.sendall(b"354 go on\r\n")
        connection.recv(1_000)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    with (
        raw_host(talk(*UNTIL_DATA[:4], read_a_little_and_hang_up)) as port,
        pytest.raises(TemporaryFailure, match=r"closed the connection|reset by peer|Broken pipe") as error,
    ):
        opened(MailServer("smtp", host="127.0.0.1", port=port, tls="off"), 10).send(message, ADA)
    assert error.value.may_have_arrived, "both links work, whatever the server made of it"


def test_the_hook_into_the_standard_library_is_where_it_was() -> None:
    """``SMTPClient._get_socket`` gives the deadline the socket, before the greeting is read."""
    import smtplib

    assert "_get_socket" in vars(smtplib.SMTP)
    assert ssl.create_default_context().check_hostname
