"""The SMTP transport against servers that are slow, break off, or answer otherwise than they should."""

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable

import pytest

from authapp.config import MailServer
from authapp.domain.mail.transports import RecipientRefused, ServerUnavailable, TemporaryFailure
from mail_servers import Certificates, raw_host
from smtp_transports import ADA, QUICK, UEDA, Opened, a_message


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
