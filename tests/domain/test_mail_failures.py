"""The failures of a delivery: at least once, and no failure of one mail is that of another."""

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from authapp.database.session import db, transaction
from authapp.domain import one_time_tokens
from authapp.domain.mail.attempts import MailAttempts, MailOutcome
from authapp.domain.mail.delivery import MailDelivery
from authapp.domain.mail.kinds import MailKind, mail_kinds
from authapp.domain.mail.smtp import SMTPTransport
from authapp.domain.mail.transports import (
    RecipientRefused,
    ServerUnavailable,
    TemporaryFailure,
)
from authapp.domain.one_time_tokens import MAX_PER_MAIL, MAX_PER_PURPOSE
from authapp.domain.token_purposes import TokenPurpose
from authapp.models import OutgoingMail, User
from clocks import Time
from factories import a_user
from mail_deliveries import (
    HOUR,
    SENDER,
    FakeTransport,
    Outage,
    add,
    count,
    deliver,
    events,
    raising,
    row,
    text_of,
    token_in,
    tokens,
)
from mail_servers import Mailbox, cutting_proxy, mail_host


def test_a_refused_recipient_is_given_up_at_once_with_an_event(
    app: Flask, delivery: MailDelivery, transport: FakeTransport
) -> None:
    user = a_user(app, "ada")
    transport.on_send = raising(RecipientRefused("The server refuses the recipient: 550 5.1.1."))
    add()
    assert deliver(delivery) == {"given_up": 1}
    assert (count(OutgoingMail), tokens()) == (0, [])
    (event,) = events("mail.failed")
    reason = "The server refuses the recipient: 550 5.1.1."
    assert event.details == {"kind": "reset_password", "user_id": str(user.id), "reason": reason}


def test_a_temporary_failure_is_tried_again_until_the_mail_is_too_old(
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
    assert outcomes["given_up"] == 1
    assert 20 < outcomes["postponed"] < 40
    assert timedelta(days=1) <= time.now - start < timedelta(days=1, hours=2)
    (event,) = events("mail.failed")
    assert event.details["reason"].endswith("The server answered 450.")


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
        used = one_time_tokens.use(token_in(transport.messages[0]), TokenPurpose.RESET_PASSWORD)
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


@pytest.mark.parametrize("kind", ["reset_password", "password_voided", "factor_added"])
def test_attempts_of_one_mail_that_may_have_arrived_use_up_no_links(
    app: Flask, delivery: MailDelivery, transport: FakeTransport, time: Time, kind: str
) -> None:
    user = a_user(app, "ada")
    seen: list[EmailMessage] = []

    def hang_up(message: EmailMessage) -> None:
        seen.append(message)
        raise TemporaryFailure("hung up", may_have_arrived=True)

    transport.on_send = hang_up
    mail_id, outcomes = add(kind, user_id=user.id, details=mail_kinds[kind].examples[0]), Counter[str]()
    while count(OutgoingMail):
        outcomes.update(deliver(delivery))
        assert len(tokens()) <= MAX_PER_MAIL
        if count(OutgoingMail):
            time.now = row(mail_id).next_attempt_at
    assert outcomes.keys() == {"postponed", "given_up"}
    assert len(events("mail.failed")) == 1
    assert len(seen) > MAX_PER_PURPOSE
    assert all("#token=" in text_of(each) for each in seen), "it never falls back to a mail without a link"
    transport.on_send = lambda _: None
    add("password_voided", user_id=user.id)
    assert deliver(delivery) == {"sent": 1}


def test_guests_who_use_up_the_links_do_not_keep_the_owner_from_hearing_that_the_password_is_void(
    app: Flask, delivery: MailDelivery, transport: FakeTransport
) -> None:
    user = a_user(app, "ada")
    for _ in range(MAX_PER_PURPOSE):
        add("reset_password")
    deliver(delivery)
    add("password_voided", user_id=user.id)
    assert deliver(delivery) == {"sent": 1}
    assert "is no longer valid" in text_of(transport.messages[-1])
    assert "#token=" not in text_of(transport.messages[-1])


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
        assert deliver(delivery) == {"given_up": 1, "sent": 119}
    (event,) = events("mail.failed")
    assert event.details["user_id"] == str(ueda.id)
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
        used = one_time_tokens.use(token_in(transport.messages[0]), TokenPurpose.RESET_PASSWORD)
    assert used is not None


def test_an_outage_when_a_mail_was_sent_leaves_its_link_and_its_claim(
    app: Flask,
    delivery: MailDelivery,
    transport: FakeTransport,
    outage: Outage,
    monkeypatch: pytest.MonkeyPatch,
    time: Time,
) -> None:
    a_user(app, "ada")
    add()
    with monkeypatch.context() as patch:
        patch.setattr("authapp.domain.audit.record", outage.begin)
        with pytest.raises(OperationalError):
            delivery.deliver(SENDER, limit=10)
    outage.end()
    assert len(tokens()) == 1
    assert deliver(delivery) == {}, "the claim is not over"
    time.passes(HOUR - timedelta(minutes=1))
    assert deliver(delivery) == {"sent": 1}
    assert len(set(transport.ids)) == 1


def test_a_mail_that_was_sent_is_sent_once_if_postgresql_refuses_its_event_alone(
    app: Flask, delivery: MailDelivery, transport: FakeTransport, monkeypatch: pytest.MonkeyPatch, time: Time
) -> None:
    a_user(app, "ada")
    add()
    with monkeypatch.context() as patch:
        patch.setattr("authapp.domain.audit.record", lambda *_, **__: db.session.execute(text("SELECT 1 FROM logs")))
        assert deliver(delivery) == {"sent": 1}
    time.passes(HOUR)
    assert deliver(delivery) == {}
    assert len(transport.ids) == 1


def test_whatever_stops_a_delivery_defers_the_mail_at_which_it_stopped_and_releases_the_others(
    app: Flask, delivery: MailDelivery, transport: FakeTransport, monkeypatch: pytest.MonkeyPatch, time: Time
) -> None:
    user = a_user(app, "ada")
    bad, *others = [add("password_changed", user_id=user.id) for _ in range(12)]
    send = MailAttempts.attempt

    def attempt(attempts: MailAttempts, mail: OutgoingMail, *rest: Any) -> MailOutcome:
        if mail.id == bad:
            raise OperationalError("UPDATE", {}, Exception("the row is locked"))
        return send(attempts, mail, *rest)

    monkeypatch.setattr(MailAttempts, "attempt", attempt)
    with pytest.raises(OperationalError):
        delivery.deliver(SENDER, limit=100)
    assert {(row(each).claimed_until, row(each).attempts) for each in (bad, *others)} == {(None, 0)}
    assert deliver(delivery) == {"sent": 11}
    assert sorted(transport.ids) == sorted(map(str, others))


@pytest.mark.committed
def test_an_account_that_is_locked_holds_up_no_mail_of_another(
    app: Flask, delivery: MailDelivery, transport: FakeTransport
) -> None:
    """Such as one whose administrator holds a long transaction open: its link cannot be stored in time."""
    a_user(app, "ada")
    a_user(app, "bob")
    add(address="ada@example.com")
    for _ in range(4):
        add("login_link", address="bob@example.com")
    with Session(db.engine) as administrator:
        administrator.execute(select(User.id).where(User.username == "ada").with_for_update())
        assert deliver(delivery) == {"postponed": 1, "sent": 4}
