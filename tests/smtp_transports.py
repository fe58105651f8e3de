"""An SMTP transport in a test, the certificates of its servers, and what it sends."""

from collections.abc import Callable, Iterator
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path

import pytest

from authapp.config import MailServer
from authapp.domain.mail.smtp import SMTPTransport
from authapp.domain.mail.transports import ASCII_POLICY
from mail_servers import Certificates

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
