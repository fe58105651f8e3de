"""Mails that cannot be made, or are too old: each is given up, and holds up no other."""

from collections.abc import Callable
from datetime import timedelta
from email.message import EmailMessage
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from authapp.database.session import db, transaction
from authapp.domain.email.previous_addresses import remember
from authapp.domain.failures import REASON_MAX_LENGTH
from authapp.domain.mail import recipients
from authapp.domain.mail.delivery import MailDelivery
from authapp.domain.mail.kinds import MailDetails, MailKind, mail_kinds
from authapp.domain.mail.transports import RecipientRefused, ServerUnavailable, TemporaryFailure
from authapp.models import OutgoingMail, User
from clocks import Time
from factories import a_user
from mail_deliveries import (
    SENDER,
    FakeTransport,
    Outage,
    add,
    deliver,
    events,
    raising,
    row,
    text_of,
    user_id,
)


@pytest.mark.parametrize("field", ["event", "purpose", "fallback"])
def test_a_kind_that_names_what_is_not_registered_is_refused_at_once(field: str) -> None:
    with pytest.raises(KeyError, match=r"nothing\.registered"):
        MailKind(recipients.owner, **{field: "nothing.registered"})


def test_a_fallback_that_needs_more_details_than_its_kind_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="also needs the details remaining"):
        MailKind(recipients.owner, fallback="recovery_code_used")


@pytest.mark.parametrize("examples", [[{"number": 1}, {"total": 2}], [{}, {"number": 1}]])
def test_a_kind_whose_examples_have_different_names_is_refused_at_once(examples: list[MailDetails]) -> None:
    with pytest.raises(ValueError, match="must have the same names"):
        MailKind(recipients.owner, examples=examples)


def test_a_fallback_explains_the_details_of_its_mails_itself(
    app: Flask, delivery: MailDelivery, transport: FakeTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, example = a_user(app, "ada"), [{"remaining": 3}]
    notice = MailKind(recipients.owner, examples=example, explain=lambda _: {"remaining": "the fallback's"})
    monkeypatch.setitem(mail_kinds._values, "recovery_code_used", notice)
    first = MailKind(lambda _: None, examples=example, fallback="recovery_code_used")
    monkeypatch.setitem(mail_kinds._values, "untold", first)
    add("untold", user_id=user.id, details={"remaining": 3})
    assert deliver(delivery) == {"sent": 1}
    assert "the fallback's of your codes are left" in text_of(transport.messages[0])


# A warning about a key is for verified addresses alone (tests/domain/test_key_expiry.py).
@pytest.mark.parametrize("kind", sorted(set(mail_kinds) - {"api_key_expiring"}))
def test_a_mail_that_is_too_old_is_given_up_without_a_word_to_the_server(
    app: Flask, delivery: MailDelivery, transport: FakeTransport, kind: str, time: Time
) -> None:
    user, new = a_user(app, "ada"), "new@example.org"
    holder = a_user(app, "grace", email=new) if kind == "email_taken" else user
    with transaction():
        stored = db.session.get_one(User, user.id)
        stored.pending_email, stored.pending_email_until = new, time.now + timedelta(days=9)
        remember(stored, new, was_ever_verified=True)
    address = new if kind in {"change_email", "email_changed", "email_taken"} else user.email
    add(kind, user_id=user.id, address=address, details=mail_kinds[kind].examples[0])
    transport.on_open = raising(ServerUnavailable("away"))
    time.passes(mail_kinds[kind].max_age - timedelta(seconds=1))
    with pytest.raises(ServerUnavailable):
        delivery.deliver(SENDER, limit=10)
    time.passes(timedelta(seconds=1))
    assert deliver(delivery) == {"given_up": 1}
    (event,) = events("mail.failed")
    assert event.details == {"kind": kind, "user_id": str(holder.id), "reason": "It could not be sent in time."}


def test_a_mail_that_is_too_old_says_why_it_could_not_be_sent(
    app: Flask, delivery: MailDelivery, transport: FakeTransport, time: Time
) -> None:
    a_user(app, "ada")
    add("login_link")
    transport.on_send = raising(TemporaryFailure("The server answered 450."))
    assert deliver(delivery) == {"postponed": 1}
    time.passes(timedelta(minutes=10))
    assert deliver(delivery) == {"given_up": 1}
    assert events("mail.failed")[0].details["reason"] == "It could not be sent in time. The server answered 450."


def unknown_kind(monkeypatch: pytest.MonkeyPatch) -> UUID:
    with monkeypatch.context() as where_it_is_known:
        where_it_is_known.setitem(mail_kinds._values, "invoice_ready", mail_kinds["new_login"])
        return add("invoice_ready")


def failing_recipient(monkeypatch: pytest.MonkeyPatch) -> UUID:
    monkeypatch.setitem(mail_kinds._values, "new_login", MailKind(raising(ZeroDivisionError())))
    return add("new_login")


def without_a_template(monkeypatch: pytest.MonkeyPatch) -> UUID:
    kind = mail_kinds["reset_password"]
    monkeypatch.setitem(mail_kinds._values, "untold", MailKind(kind.recipient, kind.purpose))
    return add("untold")


def reading_a_missing_table(monkeypatch: pytest.MonkeyPatch) -> UUID:
    """It fails with an SQLSTATE that the whole database would have, if its tables were not migrated."""

    def recipient(_mail: OutgoingMail) -> None:
        db.session.execute(text("SELECT 1 FROM invoices"))

    monkeypatch.setitem(mail_kinds._values, "new_login", MailKind(recipient))
    return add("new_login")


def taking_too_long(monkeypatch: pytest.MonkeyPatch) -> UUID:
    def recipient(_mail: OutgoingMail) -> None:
        db.session.execute(text("SET LOCAL statement_timeout = 1"))
        db.session.execute(text("SELECT pg_sleep(1)"))

    monkeypatch.setitem(mail_kinds._values, "new_login", MailKind(recipient))
    return add("new_login")


@pytest.mark.parametrize(
    "poison", [unknown_kind, failing_recipient, without_a_template, reading_a_missing_table, taking_too_long]
)
def test_one_poisoned_mail_among_a_hundred_holds_up_no_other(
    app: Flask,
    delivery: MailDelivery,
    transport: FakeTransport,
    poison: Callable[[pytest.MonkeyPatch], UUID],
    monkeypatch: pytest.MonkeyPatch,
    time: Time,
) -> None:
    a_user(app, "ada")
    bad = poison(monkeypatch)
    others = [str(add("password_changed", user_id=user_id())) for _ in range(99)]
    assert deliver(delivery) == {"postponed": 1, "sent": 99}
    assert sorted(transport.ids) == sorted(others)
    assert (row(bad).last_error or "").startswith("The mail cannot be made: ")
    assert row(bad).claimed_until is None
    time.passes(timedelta(days=1) - timedelta(hours=1))
    assert deliver(delivery) == {"postponed": 1}
    time.passes(timedelta(hours=2))
    assert deliver(delivery) == {"given_up": 1}
    (event,) = events("mail.failed")
    assert "The mail cannot be made: " in event.details["reason"]


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
    app: Flask, delivery: MailDelivery, outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_user(app, "ada")
    mail_id = add()
    monkeypatch.setattr(delivery.messages, "variables", outage.begin)
    with pytest.raises(OperationalError):
        delivery.deliver(SENDER, limit=10)
    outage.end()
    assert row(mail_id).last_error is None


@pytest.mark.parametrize("failure", [TemporaryFailure, RecipientRefused])
def test_a_failure_whose_text_cannot_be_stored_holds_up_no_other_mail(
    app: Flask, delivery: MailDelivery, transport: FakeTransport, failure: type[Exception]
) -> None:
    """Transports of others quote what a server has answered."""
    user = a_user(app, "ada")
    bad, good = (str(add("password_changed", user_id=user.id)) for _ in range(2))

    def refuse_one(message: EmailMessage) -> None:
        if bad in message["Message-ID"]:
            raise failure("quota\0 \udcff\x1b[31m\nexceeded" + "." * REASON_MAX_LENGTH)

    transport.on_send = refuse_one
    outcome = "given_up" if failure is RecipientRefused else "postponed"
    assert deliver(delivery) == {outcome: 1, "sent": 1}
    assert transport.ids == [good]
    reason = events("mail.failed")[0].details["reason"] if outcome == "given_up" else row(UUID(bad)).last_error
    assert reason is not None
    assert reason.startswith("quota? ??[31m exceeded..")
    assert len(reason) == REASON_MAX_LENGTH
