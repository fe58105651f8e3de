"""A transport of somebody's package, for the HTTP API of a provider of mail, with the public names alone."""

from collections.abc import Iterator
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask

from authapp import (
    MailServer,
    RecipientRefused,
    ServerUnavailable,
    Services,
    TemporaryFailure,
    Transport,
    TransportKind,
    create_app,
    mail_transports,
    testing,
    transaction,
)
from authapp.cli.checks import mail as mail_checks
from authapp.config import SettingsError
from authapp.domain.mail import outbox
from authapp.domain.mail.queue import read_queue
from authapp.extension import load_settings
from conftest import dispose
from databases import Databases
from variables import Set, production

URL = "acme://:s3cret@eu"
SENDER = "no-reply@example.com"


class Acme:
    """The provider, as its API is to those who test with it."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str, str]] = []
        self.failure: Exception | None = None
        self.opened = self.closed = 0


class AcmeTransport:
    """Sends by the API of the provider. Satisfies ``Transport``."""

    def __init__(self, server: MailServer, sender: str, timeout: float, *, acme: Acme) -> None:
        self._key, self._sender, self._timeout, self._acme = urlsplit(server.url).password, sender, timeout, acme
        if not self._key:
            raise ValueError("needs a key: acme://:key@region.")

    def open(self) -> None:
        self._acme.opened += 1

    def send(self, message: EmailMessage, recipient: str) -> None:
        if self._acme.failure is not None:
            raise self._acme.failure
        assert (self._key, self._sender, self._timeout) == ("s3cret", SENDER, 5)
        self._acme.taken.append((recipient, message["From"], message["Message-ID"]))

    def close(self) -> None:
        self._acme.closed += 1


@pytest.fixture
def acme() -> Iterator[Acme]:
    """What their module registers when it is imported."""
    made = Acme()

    def make(server: MailServer, sender: str, timeout: float) -> Transport:
        return AcmeTransport(server, sender, timeout, acme=made)

    mail_transports.register("acme", TransportKind(make))
    yield made
    mail_transports.unregister("acme")


@pytest.fixture
def app(databases: Databases, acme: Acme) -> Iterator[Flask]:
    with databases.migrated() as url:
        mail = {"mail_url": MailServer("acme", url=URL), "mail_from": Address("", addr_spec=SENDER), "mail_timeout": 5}
        made = create_app(testing.settings(url, email_verification="off", **mail))
        yield made
        dispose(made)


def store_mail(app: Flask) -> None:
    user = testing.create_user(app, "ada")
    with app.app_context(), transaction():
        outbox.add("reset_password", user_id=user.id, address=user.email, context=testing.GUEST)


def deliver(app: Flask) -> dict[str, int]:
    delivery = Services.of(app).mail.delivery
    assert delivery is not None
    with app.app_context():
        return dict(delivery.deliver(testing.GUEST, limit=10))


def test_mails_leave_by_it(app: Flask, acme: Acme) -> None:
    store_mail(app)
    assert deliver(app) == {"sent": 1}
    ((recipient, sender, message_id),) = acme.taken
    assert (recipient, sender) == ("ada@example.com", SENDER)
    assert message_id
    assert (acme.opened, acme.closed) == (1, 1)


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [(RecipientRefused("No such mailbox."), {"given_up": 1}), (TemporaryFailure("Busy."), {"postponed": 1})],
)
def test_how_it_fails_says_what_becomes_of_a_mail(
    app: Flask, acme: Acme, failure: Exception, outcome: dict[str, int]
) -> None:
    store_mail(app)
    acme.failure = failure
    assert deliver(app) == outcome


def test_while_it_takes_no_mail_all_wait(app: Flask, acme: Acme) -> None:
    store_mail(app)
    acme.failure = ServerUnavailable("The account is suspended.")
    with pytest.raises(ServerUnavailable):
        deliver(app)
    with app.app_context():
        assert read_queue().queued == 1


@pytest.mark.parametrize(
    ("is_local", "level", "sentence"),
    [(False, "ok", "The server lets authapp in."), (True, "warn", "Mails are written on this machine")],
)
def test_doctor_opens_it_and_warns_where_mails_reach_nobody(
    app: Flask, acme: Acme, is_local: bool, level: str, sentence: str
) -> None:
    kind = mail_transports["acme"]
    mail_transports.unregister("acme")
    mail_transports.register("acme", TransportKind(kind.make, is_local=is_local))
    found = mail_checks.server(Services.of(app))
    assert (found.level, acme.opened) == (level, 1)
    assert found.sentence.startswith(sentence)


def refusal(env: Set, url: str) -> str:
    env(AUTHAPP_MAIL_URL=url)
    with pytest.raises(SettingsError) as refused:
        create_app(load_settings())
    return str(refused.value)


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Set:
    return production(monkeypatch, tmp_path, AUTHAPP_MAIL_FROM=SENDER)


@pytest.mark.usefixtures("acme")
def test_an_address_that_it_cannot_use_ends_the_start(env: Set) -> None:
    assert "AUTHAPP_MAIL_URL needs a key: acme://:key@region." in refusal(env, "acme://eu")


def test_an_address_without_a_transport_ends_the_start_and_is_not_quoted(
    monkeypatch: pytest.MonkeyPatch, env: Set
) -> None:
    found = refusal(env, "acme://:s3cret@eu")
    assert "AUTHAPP_MAIL_URL must begin with a transport that is registered: console, file, smtp." in found
    assert "acme" not in found
    assert "s3cret" not in found
