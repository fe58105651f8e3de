"""Addresses that administrators set: who is told, which links end, and whose address it may not be."""

from collections.abc import Callable

import pytest
from flask import Flask

from account_mailbox import AccountMailbox, account
from authapp.config import RateLimit
from authapp.context import OPERATOR
from authapp.domain.mail.counted_mails import CountedMails
from authapp.domain.services import Services
from authapp.domain.users.administration import Changes
from authapp.errors import OneTimeTokenInvalid
from authapp.models import User
from authapp.models.role import ADMIN
from clocks import Time
from factories import GUEST, PASSWORD, Api, a_session, a_user, problem


def test_an_address_that_an_administrator_sets_is_to_be_verified_and_the_one_before_is_told(
    api: Api,
    admin: str,
    user: User,
    change: Callable[[str], None],
    mailbox: AccountMailbox,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(services.email.notices, "_verification", "optional")
    change("b@example.com")
    undo = mailbox.link("email_changed")
    before = len(mailbox.mails())
    response = api("PATCH", f"/users/{user.id}", admin, json={"email": "set@example.com"})
    assert response.status_code == 200
    assert response.get_json()["email_verified_at"] is None
    assert mailbox.mails()[before:] == [("email_changed_notice", "b@example.com"), ("verify_email", "set@example.com")]
    assert mailbox.sends_no_link("email_changed_notice"), "the administrator may act because that mailbox is lost"
    with pytest.raises(OneTimeTokenInvalid):
        services.email.link_confirmations.confirm(undo, None, GUEST)
    assert account("ada").email == "set@example.com"


def test_an_address_that_is_set_again_and_again_is_asked_no_more_often_than_the_limit_allows(
    user: User, mailbox: AccountMailbox, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services.email.notices, "_verification", "optional")
    counted = services.mail.counted
    for name, value in vars(CountedMails(counted._fast_path, RateLimit(3, 3600))).items():
        monkeypatch.setattr(counted, name, value)
    for _ in range(5):
        for address in ("set@example.com", "ada@example.com"):
            services.administration.change(user.id, Changes(email=address), OPERATOR)
    sent = [address for kind, address in mailbox.mails() if kind == "verify_email"]
    assert sent == ["set@example.com", "ada@example.com"] * 3


def test_whoever_changes_the_account_withdraws_the_address_that_its_user_asked_for(
    user: User, mailbox: AccountMailbox, services: Services
) -> None:
    services.email.address_changes.request(user.id, "wanted@example.com", PASSWORD, GUEST)
    services.administration.change(user.id, Changes(username="countess"), OPERATOR)
    assert account("countess").pending_email is not None
    services.administration.change(user.id, Changes(email="set@example.com"), OPERATOR)
    assert account("countess").pending_email is None
    assert mailbox.sends_no_link("change_email")


def test_an_administrator_changes_their_own_address_as_every_user_does(app: Flask, api: Api) -> None:
    """A thief of the session would need neither the password nor the mailbox."""
    boss = a_user(app, "boss", roles=[ADMIN])
    session = a_session(app, boss).access_token
    body = {"email": "thief@example.com", "username": "chief"}
    refused = problem(api("PATCH", f"/users/{boss.id}", session, json=body), 422, "validation_failed")
    assert refused["errors"] == [{"pointer": "#/email", "detail": "Ask for your own new address with /users/me/email."}]
    same = {"email": "boss@example.com", "username": "chief"}
    assert api("PATCH", f"/users/{boss.id}", session, json=same).status_code == 200
    with app.app_context():
        assert (account("chief").email, AccountMailbox(app, boss).mails()) == ("boss@example.com", [])


def test_another_address_needs_a_recent_login_of_the_administrator(
    api: Api, app: Flask, user: User, time: Time
) -> None:
    stale = a_session(app, a_user(app, roles=[ADMIN])).access_token
    time.passes(minutes=6)
    changed = api("PATCH", f"/users/{user.id}", stale, json={"email": "set@example.com"})
    problem(changed, 401, "step_up_required")
    for harmless in ({"email": "ada@example.com"}, {"username": "countess"}):
        assert api("PATCH", f"/users/{user.id}", stale, json=harmless).status_code == 200


def test_the_same_address_in_other_letters_stays_verified_and_can_still_be_undone(
    api: Api, admin: str, user: User, change: Callable[[str], None], mailbox: AccountMailbox, services: Services
) -> None:
    change("b@example.com")
    undo, before = mailbox.link("email_changed"), len(mailbox.mails())
    response = api("PATCH", f"/users/{user.id}", admin, json={"email": "B@example.com"})
    assert response.get_json()["email"] == "B@example.com"
    assert response.get_json()["email_verified_at"] is not None
    assert mailbox.mails()[before:] == [], "it still belongs to the account"
    services.email.link_confirmations.confirm(undo, None, GUEST)
    assert account("ada").email == "ada@example.com"
