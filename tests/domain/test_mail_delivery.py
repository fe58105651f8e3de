"""Delivery: each mail by itself, at least once, and no failure of one is that of another."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from concurrently import at_once
from flask import Flask
from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError

from authapp.config import MailServer
from authapp.context import RequestContext
from authapp.database.session import db, transaction
from authapp.domain.email.attempts import MailOutcome
from authapp.domain.email.delivery import MailDelivery
from authapp.domain.email.kinds import MailKind, mail_kinds, recipient_by_id
from authapp.domain.email.previous_addresses import remember
from authapp.domain.email.sender import MailSender
from authapp.domain.email.smtp import SMTPTransport
from authapp.domain.email.transports import (
    MAX_FILES,
    ConsoleTransport,
    FolderTransport,
    RecipientRefused,
    ServerUnavailable,
    TemporaryFailure,
)
from authapp.domain.one_time_tokens import MAX_PER_PURPOSE, code_hash
from authapp.domain.services import Services
from authapp.domain.token_purposes import TokenPurpose
from authapp.models import AuditEvent, OneTimeToken, OutgoingMail, User, UserStatus
from clocks import Time
from conftest import reconfigured
from factories import a_user
from mail_servers import Mailbox, cutting_proxy, mail_host

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
    made = Services.of(app).mail_delivery
    assert made is not None
    made.transports = lambda: transport
    with app.app_context():
        yield made


def add(kind: str = "reset_password", **changes: Any) -> UUID:
    values = {"address": "ada@example.com", "user_id": None, **changes}
    with transaction():
        mail_id = Services.of(current()).outbox.add(kind, context=CAUSE, **values)
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


def raising(error: Exception) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_a_mail_is_sent_with_a_token_that_works_and_is_gone(
    app: Flask, delivery: MailDelivery, transport: FakeTransport
) -> None:
    user = a_user(app, "ada")
    mail_id = add()
    assert deliver(delivery) == {"sent": 1}
    assert transport.recipients == ["ada@example.com"]
    assert transport.ids == [str(mail_id)]
    assert count(OutgoingMail) == 0
    with transaction():
        used = Services.of(app).one_time_tokens.use(token_in(transport.messages[0]), TokenPurpose.RESET_PASSWORD)
    assert used is not None
    assert (used.user_id, used.address_key) == (user.id, "ada@example.com")


def test_an_event_says_that_it_was_sent_and_for_which_request(app: Flask, delivery: MailDelivery) -> None:
    user = a_user(app, "ada")
    add()
    deliver(delivery)
    (event,) = events("mail.sent")
    assert (event.subject_id, event.actor_id, event.details) == (user.id, None, {"kind": "reset_password"})
    assert (event.request_id, event.ip_address) == ("r-1", "192.0.2.7")
    assert "example.com" not in str(event.details)


@pytest.mark.parametrize(
    ("kind", "event_type"), [("reset_password", "password.reset_requested"), ("login_link", "login_link.sent")]
)
def test_what_a_guest_asked_for_is_recorded_with_the_account_when_it_is_sent(
    app: Flask, delivery: MailDelivery, kind: str, event_type: str
) -> None:
    user = a_user(app, "ada")
    add(kind)
    deliver(delivery)
    assert [event.subject_id for event in events(event_type)] == [user.id]


def test_a_kind_can_have_an_event_of_its_own(app: Flask, delivery: MailDelivery) -> None:
    a_user(app, "ada")
    kind = MailKind(mail_kinds["reset_password"].recipient, TokenPurpose.RESET_PASSWORD, event="password.changed")
    mail_kinds.unregister("password_changed")
    mail_kinds.register("password_changed", kind)
    try:
        add("password_changed")
        deliver(delivery)
    finally:
        mail_kinds.unregister("password_changed")
        mail_kinds.register("password_changed", MailKind(recipient_by_id))
    assert [event.details for event in events("password.changed")] == [{"kind": "password_changed"}]


def test_a_mail_to_nobody_is_dropped_without_a_word_to_the_server(
    app: Flask, delivery: MailDelivery, transport: FakeTransport
) -> None:
    transport.on_open = raising(AssertionError("nobody is to be asked"))
    add(address="nobody@example.com")
    assert deliver(delivery) == {"dropped": 1}
    assert (count(OutgoingMail), events("mail.sent"), events("mail.failed")) == (0, [], [])


def test_an_account_that_was_disabled_meanwhile_gets_no_reset(app: Flask, delivery: MailDelivery) -> None:
    user = a_user(app, "ada")
    add()
    with transaction():
        db.session.execute(update(User).where(User.id == user.id).values(status=UserStatus.DISABLED))
    assert deliver(delivery) == {"dropped": 1}
    assert tokens() == []


def test_a_login_link_has_a_code_that_opens_nothing_without_the_challenge(
    app: Flask, delivery: MailDelivery, transport: FakeTransport
) -> None:
    a_user(app, "ada")
    mail_id, challenge_hash = add("login_link"), b"c" * 32
    with transaction():
        db.session.execute(update(OutgoingMail).where(OutgoingMail.id == mail_id).values(challenge_hash=challenge_hash))
    deliver(delivery)
    (token,) = tokens()
    text = text_of(transport.messages[0])
    code = text.partition("type this code there: ")[2][:8]
    assert code.isdecimal()
    assert token.challenge_hash == challenge_hash
    assert token.code_hash == code_hash(challenge_hash, code)
    assert "/account/login#token=" in text


@pytest.mark.parametrize(
    ("kind", "purpose"), [("change_email", TokenPurpose.CHANGE_EMAIL), ("email_changed", TokenPurpose.UNDO_EMAIL)]
)
def test_the_token_of_a_change_has_the_address_as_it_was_typed(
    app: Flask, delivery: MailDelivery, kind: str, purpose: str, time: Time
) -> None:
    user = a_user(app, "ada")
    with transaction():
        row = db.session.get_one(User, user.id)
        row.pending_email, row.pending_email_until = "New@Example.org", time.now + HOUR
        remember(row, "New@Example.org")
    add(kind, user_id=user.id, address="New@Example.org")
    assert deliver(delivery) == {"sent": 1}
    (token,) = tokens()
    assert (token.purpose, token.address, token.address_key) == (purpose, "New@Example.org", "new@example.org")


def test_a_link_beyond_five_is_not_sent_and_voids_none_in_the_mailbox(
    app: Flask, delivery: MailDelivery, transport: FakeTransport
) -> None:
    a_user(app, "ada")
    for _ in range(MAX_PER_PURPOSE):
        add()
    assert deliver(delivery) == {"sent": 5}
    add()
    assert deliver(delivery) == {"dropped": 1}
    assert (count(OutgoingMail), len(transport.messages)) == (0, 5)
    links = {token_in(message) for message in transport.messages}
    assert all(Services.of(app).one_time_tokens.find(token, TokenPurpose.RESET_PASSWORD) for token in links)


def test_an_address_that_can_no_longer_be_restored_is_told_without_a_link(
    app: Flask, delivery: MailDelivery, transport: FakeTransport
) -> None:
    user = a_user(app, "ada")
    add("email_changed", user_id=user.id, address="before@example.org")
    assert deliver(delivery) == {"sent": 1}
    assert tokens() == []
    assert "was replaced" in transport.messages[0]["Subject"]
    assert transport.messages[0]["To"] == "before@example.org"
    assert [event.details["kind"] for event in events("mail.sent")] == ["address_replaced"]


def test_an_address_that_has_five_undo_links_is_told_without_another(
    app: Flask, delivery: MailDelivery, transport: FakeTransport
) -> None:
    user = a_user(app, "ada")
    with transaction():
        remember(db.session.get_one(User, user.id), "before@example.org")
    for _ in range(MAX_PER_PURPOSE + 1):
        add("email_changed", user_id=user.id, address="before@example.org")
    assert deliver(delivery) == {"sent": 6}
    assert len(tokens()) == MAX_PER_PURPOSE
    assert "was replaced" in transport.messages[-1]["Subject"]


def test_a_notice_to_an_account_that_is_gone_is_dropped(app: Flask, delivery: MailDelivery) -> None:
    add("email_changed", user_id=UUID(int=1), address="before@example.org")
    assert deliver(delivery) == {"dropped": 1}


def test_a_refused_recipient_is_given_up_at_once_with_an_event(
    app: Flask, delivery: MailDelivery, transport: FakeTransport
) -> None:
    user = a_user(app, "ada")
    transport.on_send = raising(RecipientRefused("The server refuses the recipient: 550 5.1.1."))
    add()
    assert deliver(delivery) == {"failed": 1}
    assert (count(OutgoingMail), tokens()) == (0, [])
    (event,) = events("mail.failed")
    reason = "The server refuses the recipient: 550 5.1.1."
    assert (event.subject_id, event.details) == (user.id, {"kind": "reset_password", "reason": reason})


def test_a_temporary_failure_is_tried_again_for_a_day(
    app: Flask, delivery: MailDelivery, transport: FakeTransport, time: Time
) -> None:
    user = a_user(app, "ada")
    transport.on_send = raising(TemporaryFailure("The server answered 450."))
    mail_id, start, outcomes = add("password_changed", user_id=user.id), time.now, Counter[str]()
    while count(OutgoingMail):
        outcomes.update(deliver(delivery))
        if count(OutgoingMail):
            assert row(mail_id).last_error == "The server answered 450."
            assert deliver(delivery) == {}, "not before it is due"
            time.now = row(mail_id).next_attempt_at
    assert outcomes["failed"] == 1
    assert 20 < outcomes["postponed"] < 35
    assert timedelta(hours=24) <= time.now - start < timedelta(hours=26)
    (event,) = events("mail.failed")
    assert event.details["reason"] == "The server answered 450."


def test_undelivered_mails_void_no_link_in_the_mailbox(
    app: Flask, delivery: MailDelivery, transport: FakeTransport, time: Time
) -> None:
    a_user(app, "ada")
    add()
    deliver(delivery)
    transport.on_send = raising(TemporaryFailure("greylisted"))
    mail_id = add()
    for _ in range(MAX_PER_PURPOSE + 2):
        deliver(delivery)
        time.now = min(row(mail_id).next_attempt_at, time.now + timedelta(minutes=5))
        with transaction():
            db.session.execute(update(OutgoingMail).values(next_attempt_at=time.now))
    with transaction():
        used = Services.of(app).one_time_tokens.use(token_in(transport.messages[0]), TokenPurpose.RESET_PASSWORD)
    assert used is not None


def test_a_mail_that_may_have_arrived_is_sent_again_with_the_same_id_and_both_links_work(
    app: Flask, delivery: MailDelivery, transport: FakeTransport, time: Time
) -> None:
    a_user(app, "ada")
    seen: list[EmailMessage] = []

    def take_and_hang_up(message: EmailMessage) -> None:
        seen.append(message)
        raise TemporaryFailure("hung up", may_have_arrived=True)

    transport.on_send = take_and_hang_up
    add()
    assert deliver(delivery) == {"postponed": 1}
    transport.on_send = seen.append
    time.passes(timedelta(minutes=1))
    assert deliver(delivery) == {"sent": 1}
    assert seen[0]["Message-ID"] == seen[1]["Message-ID"]
    assert token_in(seen[0]) != token_in(seen[1])
    assert len(tokens()) == 2


@pytest.mark.parametrize("step", ["open", "send"])
def test_a_server_that_takes_no_mail_costs_no_mail_an_attempt(
    app: Flask, delivery: MailDelivery, transport: FakeTransport, step: str, time: Time
) -> None:
    user = a_user(app, "ada")
    ids = [add("password_changed", user_id=user.id) for _ in range(25)]
    failing = raising(ServerUnavailable("the login is refused"))
    if step == "open":
        transport.on_open = failing
    else:
        transport.on_send = failing
    for _ in range(40):
        with pytest.raises(ServerUnavailable):
            delivery.deliver(SENDER, limit=1000)
        time.passes(HOUR)
    for mail_id in ids:
        assert (row(mail_id).attempts, row(mail_id).claimed_until, row(mail_id).last_error) == (0, None, None)
    transport.on_open, transport.on_send = (lambda: None), (lambda _: None)
    assert deliver(delivery) == {"sent": 25}, "also after a day"
    assert sorted(transport.ids) == sorted(map(str, ids))


@pytest.mark.parametrize(
    "failure", [TemporaryFailure("no"), RecipientRefused("no"), ServerUnavailable("no"), KeyError()]
)
def test_a_token_that_was_not_sent_does_not_stay(
    app: Flask, delivery: MailDelivery, transport: FakeTransport, failure: Exception
) -> None:
    a_user(app, "ada")
    add()
    transport.on_send = raising(failure)
    with suppress(ServerUnavailable):
        delivery.deliver(SENDER, limit=1)
    assert tokens() == []


def test_one_mail_at_which_the_server_stops_holds_up_no_other(
    app: Flask, delivery: MailDelivery, transport: FakeTransport, time: Time
) -> None:
    user = a_user(app, "ada")
    bad, *others = [str(add("password_changed", user_id=user.id)) for _ in range(120)]

    def stop_at_one(message: EmailMessage) -> None:
        if bad in message["Message-ID"]:
            raise ServerUnavailable("The server refuses the sender.")

    transport.on_send = stop_at_one
    for seconds in (0, 2, 60, 60):
        time.passes(timedelta(seconds=seconds))
        with suppress(ServerUnavailable):
            delivery.deliver(SENDER, limit=100)
    assert sorted(transport.ids) == sorted(others)
    assert row(UUID(bad)).attempts == 0


@pytest.mark.parametrize(
    ("box", "utf8"), [(Mailbox(utf8_answer="555 5.5.4 No such parameter"), True), (Mailbox(), False)]
)
def test_one_address_that_the_server_cannot_write_to_is_given_up_and_holds_up_no_other(
    app: Flask, delivery: MailDelivery, box: Mailbox, utf8: bool
) -> None:
    user, ueda = a_user(app, "ada"), a_user(app, "ueda", email="\u00fcda@example.com")
    add(address="\u00fcda@example.com")
    for _ in range(119):
        add("password_changed", user_id=user.id)
    with mail_host(None, box, utf8=utf8) as host:
        delivery.transports = lambda: SMTPTransport(replace(host.server, username=""), "no-reply@example.com", 5)
        assert deliver(delivery) == {"failed": 1, "sent": 119}
    (event,) = events("mail.failed")
    assert event.subject_id == ueda.id
    assert (len(set(box.ids)), tokens()) == (119, [])


def test_a_mail_whose_connection_breaks_within_its_text_is_sent_again(
    app: Flask, delivery: MailDelivery, time: Time
) -> None:
    """At the level of SMTP: the first connection goes through a proxy that cuts it where the text begins."""
    user = a_user(app, "ada")
    mail_id = add("password_changed", user_id=user.id)
    with mail_host(None) as host:
        server = replace(host.server, username="")
        with cutting_proxy(host.port, after=b"\r\nSubject:") as port:
            delivery.transports = lambda: SMTPTransport(replace(server, port=port), "no-reply@example.com", 5)
            assert deliver(delivery) == {"postponed": 1}
        assert host.mailbox.ids == []
        delivery.transports = lambda: SMTPTransport(server, "no-reply@example.com", 5)
        time.passes(timedelta(minutes=1))
        assert deliver(delivery) == {"sent": 1}
    assert [str(mail_id) in each for each in host.mailbox.ids] == [True]


@pytest.fixture
def unrecordable(monkeypatch: pytest.MonkeyPatch) -> str:
    """A kind of mail whose event is registered no longer when it is sent."""
    kind = MailKind(mail_kinds["reset_password"].recipient, TokenPurpose.RESET_PASSWORD, "password.reset_requested")
    object.__setattr__(kind, "event", "nothing.registered")
    monkeypatch.setitem(mail_kinds._values, "reset_password", kind)
    return "reset_password"


def test_a_mail_that_was_sent_and_cannot_be_recorded_is_sent_once_and_its_link_works(
    app: Flask, delivery: MailDelivery, transport: FakeTransport, unrecordable: str, caplog: pytest.LogCaptureFixture
) -> None:
    a_user(app, "ada")
    add(unrecordable)
    assert deliver(delivery) == {"sent": 1}
    assert "was sent, and its events cannot be recorded" in caplog.text
    assert count(OutgoingMail) == 0
    with transaction():
        used = Services.of(app).one_time_tokens.use(token_in(transport.messages[0]), TokenPurpose.RESET_PASSWORD)
    assert used is not None


def test_an_outage_when_a_mail_was_sent_leaves_its_link_and_its_claim(
    app: Flask, delivery: MailDelivery, transport: FakeTransport, monkeypatch: pytest.MonkeyPatch, time: Time
) -> None:
    a_user(app, "ada")
    add()
    with monkeypatch.context() as patch:
        patch.setattr("authapp.domain.audit.record", raising(OperationalError("INSERT", {}, Exception("gone"))))
        with pytest.raises(OperationalError):
            delivery.deliver(SENDER, limit=10)
    assert len(tokens()) == 1
    assert deliver(delivery) == {}, "the claim is not over"
    time.passes(HOUR - timedelta(minutes=1))
    assert deliver(delivery) == {"sent": 1}
    assert len(set(transport.ids)) == 1


def test_a_kind_with_an_event_that_is_not_registered_is_refused_at_once() -> None:
    with pytest.raises(KeyError, match=r"nothing\.registered"):
        MailKind(recipient_by_id, event="nothing.registered")


@pytest.mark.parametrize("kind", sorted(mail_kinds))
def test_a_mail_that_is_too_old_is_given_up_without_a_word_to_the_server(
    app: Flask, delivery: MailDelivery, transport: FakeTransport, kind: str, time: Time
) -> None:
    user = a_user(app, "ada")
    with transaction():
        stored = db.session.get_one(User, user.id)
        stored.pending_email, stored.pending_email_until = "new@example.org", time.now + timedelta(days=9)
        remember(stored, "new@example.org")
    address = "new@example.org" if kind in {"change_email", "email_changed"} else user.email
    add(kind, user_id=user.id, address=address)
    transport.on_open = raising(ServerUnavailable("away"))
    time.passes(mail_kinds[kind].max_age - timedelta(seconds=1))
    with pytest.raises(ServerUnavailable):
        delivery.deliver(SENDER, limit=10)
    time.passes(timedelta(seconds=1))
    assert deliver(delivery) == {"failed": 1}
    (event,) = events("mail.failed")
    assert (event.subject_id, event.details) == (user.id, {"kind": kind, "reason": "It could not be sent in time."})


def test_a_mail_that_is_too_old_says_why_it_could_not_be_sent(
    app: Flask, delivery: MailDelivery, transport: FakeTransport, time: Time
) -> None:
    a_user(app, "ada")
    add("login_link")
    transport.on_send = raising(TemporaryFailure("The server answered 450."))
    assert deliver(delivery) == {"postponed": 1}
    time.passes(timedelta(minutes=10))
    assert deliver(delivery) == {"failed": 1}
    assert events("mail.failed")[0].details["reason"] == "It could not be sent in time. The server answered 450."


def unknown_kind(_monkeypatch: pytest.MonkeyPatch) -> str:
    return "invoice_ready"


def failing_recipient(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(mail_kinds._values, "new_login", MailKind(raising(ZeroDivisionError())))
    return "new_login"


def without_a_template(monkeypatch: pytest.MonkeyPatch) -> str:
    kind = mail_kinds["reset_password"]
    monkeypatch.setitem(mail_kinds._values, "untold", MailKind(kind.recipient, kind.purpose))
    return "untold"


@pytest.mark.parametrize("poison", [unknown_kind, failing_recipient, without_a_template])
def test_one_poisoned_mail_among_a_hundred_holds_up_no_other(
    app: Flask,
    delivery: MailDelivery,
    transport: FakeTransport,
    poison: Callable[[pytest.MonkeyPatch], str],
    monkeypatch: pytest.MonkeyPatch,
    time: Time,
) -> None:
    a_user(app, "ada")
    bad = add(poison(monkeypatch))
    others = [str(add("password_changed", user_id=user_id())) for _ in range(99)]
    assert deliver(delivery) == {"postponed": 1, "sent": 99}
    assert sorted(transport.ids) == sorted(others)
    assert (row(bad).last_error or "").startswith("The mail cannot be made: ")
    assert row(bad).claimed_until is None
    time.passes(timedelta(days=1))
    assert deliver(delivery) == {"failed": 1}
    assert len(events("mail.failed")) == 1


def test_an_error_in_a_transaction_of_one_mail_does_not_leave_it_claimed(
    app: Flask, delivery: MailDelivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rollback takes back a renewed claim, by which the mail is recognised when it is postponed."""
    a_user(app, "ada")
    mail_id = add()
    monkeypatch.setattr(delivery.messages, "variables", raising(ZeroDivisionError()))
    assert deliver(delivery) == {"postponed": 1}
    assert row(mail_id).claimed_until is None


def test_an_outage_of_the_database_is_not_the_mails_fault(
    app: Flask, delivery: MailDelivery, transport: FakeTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_user(app, "ada")
    mail_id = add()
    outage = OperationalError("SELECT", {}, Exception("gone"))
    monkeypatch.setattr(delivery.messages, "variables", raising(outage))
    with pytest.raises(OperationalError):
        delivery.deliver(SENDER, limit=10)
    assert row(mail_id).last_error is None


def test_a_sender_that_is_late_leaves_the_mail_to_the_other(
    app: Flask, delivery: MailDelivery, transport: FakeTransport, time: Time
) -> None:
    a_user(app, "ada")
    first, second = add(), add()

    def be_slow(message: EmailMessage) -> None:
        transport.on_send = lambda _: None
        time.passes(HOUR)
        with transaction():
            Services.of(app).outbox.claim(10, HOUR)
        db.session.expunge_all()

    transport.on_send = be_slow
    assert deliver(delivery) == {"sent": 1, "taken": 1}
    assert len(transport.ids) == 1
    assert {str(first), str(second)} >= set(transport.ids)


def test_a_sender_that_is_stopped_gives_back_what_it_has_claimed(
    app: Flask, delivery: MailDelivery, transport: FakeTransport
) -> None:
    a_user(app, "ada")
    ids = [add() for _ in range(5)]
    delivery.deliver(SENDER, limit=10, running=lambda: len(transport.messages) < 2)
    left = [row(mail_id) for mail_id in ids if str(mail_id) not in transport.ids]
    assert [(mail.attempts, mail.claimed_until) for mail in left] == [(0, None)] * 3


def test_a_limit_is_kept(app: Flask, delivery: MailDelivery, transport: FakeTransport) -> None:
    a_user(app, "ada")
    for _ in range(15):
        add("password_changed", user_id=user_id())
    assert deliver(delivery, limit=12) == {"sent": 12}


@pytest.mark.committed
def test_two_senders_never_send_one_mail_twice(app: Flask, delivery: MailDelivery) -> None:
    a_user(app, "ada")
    ids = [str(add("password_changed", user_id=user_id())) for _ in range(60)]
    transports: list[FakeTransport] = []

    def make() -> FakeTransport:
        transports.append(FakeTransport())
        return transports[-1]

    delivery.transports = make
    at_once(app, *[lambda: delivery.deliver(SENDER, limit=1000)] * 4)
    # The mail that verifies the address may be due by now, or not.
    sent = [mail_id for each in transports for mail_id in each.ids if mail_id in ids]
    assert sorted(sent) == sorted(ids)
    assert sum(bool(each.ids) for each in transports) > 1


def user_id() -> UUID:
    return db.session.scalars(select(User.id)).one()


# --- the sender ---------------------------------------------------------------------------------------------------


def test_the_sender_survives_everything_and_goes_on(
    app: Flask, delivery: MailDelivery, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failures = iter([ServerUnavailable("no login"), OperationalError("x", {}, Exception("y")), ZeroDivisionError()])
    passes: list[str] = []
    naps: list[float] = []

    def fail_first(*_: object, **__: object) -> Counter[MailOutcome]:
        if error := next(failures, None):
            raise error
        passes.append("passed")
        return Counter()

    monkeypatch.setattr(delivery, "deliver", fail_first)
    monkeypatch.setattr("authapp.domain.email.sender._sleep", lambda seconds, _running: naps.append(seconds))
    MailSender(delivery, app.app_context).send_while(lambda: len(passes) < 2, SENDER)
    assert "all mails wait: no login" in caplog.text
    assert [round(nap / base, 1) for nap, base in zip(naps, [2, 4, 8, 1, 1], strict=True)] == pytest.approx(
        [1] * 5, abs=0.2
    )


def test_the_pause_after_failures_has_a_maximum(
    app: Flask, delivery: MailDelivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps: list[float] = []
    monkeypatch.setattr(delivery, "deliver", raising(ServerUnavailable("away")))
    monkeypatch.setattr("authapp.domain.email.sender._sleep", lambda seconds, _running: naps.append(seconds))
    MailSender(delivery, app.app_context).send_while(lambda: len(naps) < 20, SENDER)
    assert 48 <= max(naps) <= 72


def test_a_sleeping_sender_stops_soon(app: Flask, delivery: MailDelivery) -> None:
    stop = threading.Event()
    sender = MailSender(delivery, app.app_context)
    thread = threading.Thread(target=lambda: sender.send_while(lambda: not stop.is_set(), SENDER))
    delivery.deliver = raising(ServerUnavailable("away"))  # type: ignore[method-assign, assignment]
    thread.start()
    stop.set()
    thread.join(5)
    assert not thread.is_alive()


def test_an_empty_outbox_is_asked_for_in_one_statement(
    app: Flask, delivery: MailDelivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_claim", raising(AssertionError("no transaction")))
    assert deliver(delivery) == {}


# --- other transports ---------------------------------------------------------------------------------------------


def test_a_folder_gets_a_file_for_each_mail_that_others_cannot_read(
    app: Flask, delivery: MailDelivery, tmp_path: Path
) -> None:
    a_user(app, "ada")
    folder = tmp_path / "some" / "mail"
    delivery.transports = lambda: FolderTransport(folder)
    mail_id = add()
    assert deliver(delivery) == {"sent": 1}
    assert [path.name for path in folder.iterdir()] == [f"{mail_id}.eml"]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / f"{mail_id}.eml").stat().st_mode & 0o077 == 0
    assert b"/account/reset-password#token=" in (folder / f"{mail_id}.eml").read_bytes(), "readable as it is"


def test_a_folder_keeps_the_newest(app: Flask, delivery: MailDelivery, tmp_path: Path) -> None:
    transport = FolderTransport(tmp_path)
    for number in range(MAX_FILES + 5):
        message = EmailMessage()
        message["Message-ID"] = f"<{number:04}@example.com>"
        transport.send(message, "ada@example.com")
    names = sorted(path.name for path in tmp_path.glob("*.eml"))
    assert (len(names), names[0]) == (MAX_FILES, "0005.eml")


def test_a_folder_that_cannot_be_written_is_the_servers_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServerUnavailable, match="cannot be created"):
        FolderTransport(tmp_path / "file" / "mail").open()


def test_the_console_shows_the_text(app: Flask, delivery: MailDelivery, capsys: pytest.CaptureFixture[str]) -> None:
    a_user(app, "ada")
    delivery.transports = ConsoleTransport
    add()
    assert deliver(delivery) == {"sent": 1}
    assert "/account/reset-password#token=" in capsys.readouterr().out


def test_an_application_without_a_mail_server_has_no_delivery(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    reconfigured(app, monkeypatch, mail_url=None)
    assert Services.of(app).mail_delivery is None
