"""A delivery that hands mails to a transport which fails as a test wants: fixtures and helpers."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import event, func, select
from sqlalchemy.exc import OperationalError

from authapp.config import MailServer
from authapp.context import RequestContext
from authapp.database.session import db, transaction
from authapp.domain.mail import outbox
from authapp.domain.mail.delivery import MailDelivery
from authapp.domain.services import Services
from authapp.models import AuditEvent, OneTimeToken, OutgoingMail, User
from conftest import reconfigured

SENDER = RequestContext(ip_address=None, user_agent=None, request_id=None, principal=None)
CAUSE = RequestContext(ip_address="192.0.2.7", user_agent="curl/8", request_id="r-1", principal=None, locale="de")
HOUR = timedelta(hours=1)


class FakeTransport:
    """Takes mails, or fails as the test wants: for which message, and with what."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.on_open: Callable[[], None] = lambda: None
        self.on_send: Callable[[EmailMessage], None] = lambda _: None

    def open(self) -> None:
        self.on_open()

    def send(self, message: EmailMessage, recipient: str) -> None:
        assert not db.session().in_transaction(), "no connection is held meanwhile"
        self.on_send(message)
        self.messages.append(message)
        self.recipients.append(recipient)

    def close(self) -> None:
        pass

    @property
    def ids(self) -> list[str]:
        return [message["Message-ID"].strip("<>").partition("@")[0] for message in self.messages]


@pytest.fixture
def transport() -> FakeTransport:
    return FakeTransport()


@pytest.fixture
def delivery(
    app: Flask, monkeypatch: pytest.MonkeyPatch, transport: FakeTransport, tmp_path: Path
) -> Iterator[MailDelivery]:
    server, sender = MailServer("file", folder=tmp_path / "mail"), Address("", addr_spec="no-reply@example.com")
    reconfigured(app, monkeypatch, mail_url=server, mail_from=sender, mail_timeout=5)
    made = Services.of(app).mail.delivery
    assert made is not None
    made.transports = lambda: transport
    with app.app_context():
        yield made


def add(kind: str = "reset_password", **changes: Any) -> UUID:
    values = {"address": "ada@example.com", "user_id": None, **changes}
    with transaction():
        mail_id = outbox.add(kind, context=CAUSE, **values)
    db.session.expunge_all()
    return mail_id


def current() -> Flask:
    from flask import current_app

    return current_app._get_current_object()  # type: ignore[attr-defined, no-any-return]


def deliver(delivery: MailDelivery, limit: int = 1000) -> dict[str, int]:
    db.session.rollback()
    return {outcome.value: count for outcome, count in delivery.deliver(SENDER, limit=limit).items()}


def row(mail_id: UUID) -> OutgoingMail:
    return db.session.get_one(OutgoingMail, mail_id, populate_existing=True)


def count(model: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def events(event_type: str) -> list[AuditEvent]:
    return list(db.session.scalars(select(AuditEvent).where(AuditEvent.type == event_type)))


def tokens() -> list[OneTimeToken]:
    return list(db.session.scalars(select(OneTimeToken).execution_options(populate_existing=True)))


def text_of(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def token_in(message: EmailMessage) -> str:
    return text_of(message).partition("#token=")[2].split()[0]


class Outage:
    """An outage of the database for whatever a session asks: no statement reaches it from ``begin`` to ``end``."""

    def begin(self, *_: object, **__: object) -> None:
        """Begin it, and fail as the first statement within it does: in place of any function of ours."""
        if not event.contains(db.engine, "before_cursor_execute", self._fail):
            event.listen(db.engine, "before_cursor_execute", self._fail)
        self._fail(None, None, "SELECT")

    def end(self) -> None:
        if event.contains(db.engine, "before_cursor_execute", self._fail):
            event.remove(db.engine, "before_cursor_execute", self._fail)

    def _fail(self, _connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "SAVEPOINT" not in statement:  # which a test has in place of a transaction
            raise OperationalError(statement, {}, Exception("gone"))


@pytest.fixture
def outage(app: Flask) -> Iterator[Outage]:
    made = Outage()
    yield made
    with app.app_context():
        made.end()


def raising(error: Exception) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def user_id() -> UUID:
    return db.session.scalars(select(User.id)).one()
