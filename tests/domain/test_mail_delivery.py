"""Delivery: who gets which mail with which link, and each of them from one sender alone."""

from email.message import EmailMessage
from uuid import UUID

import pytest
from concurrently import at_once
from flask import Flask
from sqlalchemy import update

from authapp.context import OPERATOR
from authapp.database.session import db, transaction
from authapp.domain import one_time_tokens
from authapp.domain.email.previous_addresses import remember
from authapp.domain.mail import outbox
from authapp.domain.mail.delivery import MailDelivery
from authapp.domain.mail.kinds import MailKind, mail_kinds
from authapp.domain.one_time_tokens import MAX_PER_PURPOSE
from authapp.domain.services import Services
from authapp.domain.token_purposes import TokenPurpose
from authapp.models import OutgoingMail, User, UserStatus
from authapp.security.one_time_codes import code_hash
from clocks import Time
from factories import a_user
from mail_deliveries import (
    HOUR,
    SENDER,
    FakeTransport,
    add,
    count,
    deliver,
    events,
    raising,
    row,
    text_of,
    token_in,
    tokens,
    user_id,
)


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
        used = one_time_tokens.use(token_in(transport.messages[0]), TokenPurpose.RESET_PASSWORD)
    assert used is not None
    assert (used.user_id, used.address_key) == (user.id, "ada@example.com")


def test_an_event_says_that_it_was_sent_and_for_which_request(app: Flask, delivery: MailDelivery) -> None:
    user = a_user(app, "ada")
    add()
    deliver(delivery)
    (event,) = events("mail.sent")
    about = {"kind": "reset_password", "user_id": str(user.id)}
    assert (event.subject_id, event.actor_id, event.details) == (None, None, about)
    assert (event.request_id, event.ip_address, event.user_agent) == ("r-1", None, None), "no erasure finds it"
    assert "example.com" not in str(event.details)


def test_the_account_is_its_subject_if_the_address_has_been_verified(app: Flask, delivery: MailDelivery) -> None:
    user = a_user(app, "ada")
    Services.of(app).email.verifications.mark("ada", OPERATOR)
    add()
    add("email_changed_notice", user_id=user.id, address="before@example.org")
    deliver(delivery)
    sent = {event.details["kind"]: (event.subject_id, event.details.get("user_id")) for event in events("mail.sent")}
    assert [event.ip_address for event in events("mail.sent") if event.subject_id] == ["192.0.2.7"]
    assert sent == {"reset_password": (user.id, None), "email_changed_notice": (None, str(user.id))}


@pytest.mark.parametrize(
    ("kind", "event_type"), [("reset_password", "password.reset_requested"), ("login_link", "login_link.sent")]
)
@pytest.mark.parametrize("is_verified", [True, False])
def test_what_a_guest_asked_for_is_recorded_with_the_account_when_it_is_sent(
    app: Flask, delivery: MailDelivery, kind: str, event_type: str, is_verified: bool
) -> None:
    """Whoever registered the address of somebody else does not see when and from where its owner asks for a link."""
    user = a_user(app, "ada")
    if is_verified:
        Services.of(app).email.verifications.mark("ada", OPERATOR)
    add(kind)
    deliver(delivery)
    (event,) = events(event_type)
    expected = (user.id, "192.0.2.7", None) if is_verified else (None, None, str(user.id))
    assert (event.subject_id, event.ip_address, event.details.get("user_id")) == expected


def test_a_kind_can_have_an_event_of_its_own(app: Flask, delivery: MailDelivery) -> None:
    user = a_user(app, "ada")
    kind = MailKind(mail_kinds["reset_password"].recipient, TokenPurpose.RESET_PASSWORD, event="password.changed")
    replaced = mail_kinds["password_changed"]
    mail_kinds.unregister("password_changed")
    mail_kinds.register("password_changed", kind)
    try:
        add("password_changed")
        deliver(delivery)
    finally:
        mail_kinds.unregister("password_changed")
        mail_kinds.register("password_changed", replaced)
    assert [event.details for event in events("password.changed")] == [
        {"kind": "password_changed", "user_id": str(user.id)}
    ]


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
def test_the_token_of_a_change_is_bound_to_the_address_of_its_mail(
    app: Flask, delivery: MailDelivery, kind: str, purpose: str, time: Time
) -> None:
    user = a_user(app, "ada")
    with transaction():
        row = db.session.get_one(User, user.id)
        row.pending_email, row.pending_email_until = "New@Example.org", time.now + HOUR
        remember(row, "New@Example.org", was_ever_verified=True)
    add(kind, user_id=user.id, address="New@Example.org")
    assert deliver(delivery) == {"sent": 1}
    (token,) = tokens()
    assert (token.purpose, token.address_key) == (purpose, "new@example.org")


def test_a_link_beyond_five_is_not_sent_and_voids_none_in_the_mailbox(
    app: Flask, delivery: MailDelivery, transport: FakeTransport
) -> None:
    a_user(app, "ada")
    for _ in range(MAX_PER_PURPOSE):
        add()
    assert deliver(delivery) == {"sent": 5}
    add()
    assert deliver(delivery) == {"given_up": 1}
    assert (count(OutgoingMail), len(transport.messages)) == (0, 5)
    (event,) = events("mail.failed")
    assert event.details["reason"] == "As many links as an account may have are in its mailbox."
    links = {token_in(message) for message in transport.messages}
    assert all(one_time_tokens.find(token, TokenPurpose.RESET_PASSWORD) for token in links)


def test_an_address_that_can_no_longer_be_restored_is_told_without_a_link(
    app: Flask, delivery: MailDelivery, transport: FakeTransport
) -> None:
    user = a_user(app, "ada")
    add("email_changed", user_id=user.id, address="before@example.org")
    assert deliver(delivery) == {"sent": 1}
    assert tokens() == []
    assert "was replaced" in transport.messages[0]["Subject"]
    assert transport.messages[0]["To"] == "before@example.org"
    assert [event.details["kind"] for event in events("mail.sent")] == ["email_changed_notice"]


def test_an_address_that_has_five_undo_links_is_told_without_another(
    app: Flask, delivery: MailDelivery, transport: FakeTransport
) -> None:
    user = a_user(app, "ada")
    with transaction():
        remember(db.session.get_one(User, user.id), "before@example.org", was_ever_verified=True)
    for _ in range(MAX_PER_PURPOSE + 1):
        add("email_changed", user_id=user.id, address="before@example.org")
    assert deliver(delivery) == {"sent": 6}
    assert len(tokens()) == MAX_PER_PURPOSE
    assert "was replaced" in transport.messages[-1]["Subject"]


def test_a_notice_to_an_account_that_is_gone_is_dropped(app: Flask, delivery: MailDelivery) -> None:
    add("email_changed", user_id=UUID(int=1), address="before@example.org")
    assert deliver(delivery) == {"dropped": 1}


def test_a_sender_that_is_late_leaves_the_mail_to_the_other(
    app: Flask, delivery: MailDelivery, transport: FakeTransport, time: Time
) -> None:
    a_user(app, "ada")
    first, second = add(), add()

    def be_slow(message: EmailMessage) -> None:
        transport.on_send = lambda _: None
        time.passes(HOUR)
        with transaction():
            outbox.claim(10, HOUR)
        db.session.expunge_all()

    transport.on_send = be_slow
    assert deliver(delivery) == {"sent": 1, "reassigned": 1}
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


def test_a_verified_account_gets_no_mail_that_verifies(app: Flask, delivery: MailDelivery) -> None:
    """Whoever knows the address could otherwise have it sent links that mean nothing to its owner."""
    user = a_user(app, "ada")
    add("verify_email", address=user.email)
    assert deliver(delivery) == {"sent": 1}
    Services.of(app).email.verifications.mark(user.id, OPERATOR)
    add("verify_email", address=user.email)
    assert deliver(delivery) == {"dropped": 1}


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
