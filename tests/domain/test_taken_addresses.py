"""A request for an address that another account has: its mailbox is told, and whoever asked learns nothing."""

from datetime import timedelta

import pytest
from flask import Flask

from authapp.database.session import db, transaction
from authapp.domain.mail.delivery import MailDelivery
from authapp.domain.services import Services
from authapp.models import User, UserStatus
from clocks import Time
from factories import GUEST, PASSWORD, a_user
from mail_deliveries import FakeTransport, deliver, text_of, tokens

ADDRESS = "grace@example.com"


@pytest.fixture
def holder(app: Flask) -> User:
    return a_user(app, "login.evil.com", email=ADDRESS)


@pytest.fixture
def user(app: Flask, delivery: MailDelivery, time: Time) -> User:
    made = a_user(app, "ada")
    Services.of(app).email.address_changes.request(made.id, ADDRESS, PASSWORD, GUEST)
    time.passes(timedelta(minutes=1))
    return made


def test_its_mailbox_is_told_how_to_get_at_the_account_that_a_stranger_registered(
    holder: User, user: User, delivery: MailDelivery, transport: FakeTransport
) -> None:
    assert deliver(delivery) == {"sent": 1}
    assert transport.recipients == [ADDRESS]
    body = text_of(transport.messages[0])
    assert "An account has it already" in body
    assert "reset the password" in body
    assert "#token=" not in body
    assert {holder.username, user.username}.isdisjoint(body.split()), "names that a stranger chose"
    assert tokens() == []


@pytest.mark.parametrize("reason", ["withdrawn", "disabled", "holder disabled"])
def test_nobody_is_told_of_a_request_that_stands_no_longer(
    app: Flask, holder: User, user: User, delivery: MailDelivery, transport: FakeTransport, reason: str
) -> None:
    with transaction():
        if reason == "withdrawn":
            db.session.get_one(User, user.id).forget_pending_email()
        else:
            disabled = user if reason == "disabled" else holder
            db.session.get_one(User, disabled.id).status = UserStatus.DISABLED
    assert deliver(delivery) == {"dropped": 1}


def test_an_account_that_has_the_address_by_now_is_not_told_of_itself(
    user: User, delivery: MailDelivery, transport: FakeTransport
) -> None:
    with transaction():
        stored = db.session.get_one(User, user.id)
        stored.email = ADDRESS
    assert deliver(delivery) == {"dropped": 1}
