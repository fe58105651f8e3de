"""The SMTP transport against real servers: TLS, logins, refusals, and how a connection is used."""

import time
from contextlib import nullcontext

import pytest

from authapp.config import MailServer
from authapp.domain.mail.smtp import MAILS_PER_CONNECTION
from authapp.domain.mail.transports import RecipientRefused, ServerUnavailable, TemporaryFailure
from mail_servers import PASSWORD, USERNAME, Certificates, Mailbox, mail_host, raw_host
from smtp_transports import ADA, UEDA, Opened, a_message


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
