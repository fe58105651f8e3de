"""Changing one's own address: asked for, and confirmed with the link in a mail to the new one."""

from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from account_mailbox import AccountMailbox, account, events, is_good, issue
from authapp import hooks
from authapp.config import RateLimit
from authapp.context import OPERATOR
from authapp.database.session import db, transaction
from authapp.domain import one_time_tokens
from authapp.domain.email.address_changes import CONFIRMABLE_FOR
from authapp.domain.mail.kinds import mail_kinds
from authapp.domain.services import Services
from authapp.domain.token_purposes import TokenPurpose
from authapp.errors import EmailTaken, OneTimeTokenInvalid
from authapp.models import OneTimeToken, User
from authapp.models.role import ADMIN
from clocks import Time
from conftest import reconfigured
from factories import GUEST, PASSWORD, Api, a_session, a_user, problem

NEW = "Countess@Example.org"


def ask(api: Api, token: str, email: str = NEW, **changes: Any) -> Any:
    return api("PUT", "/users/me/email", token, json={"email": email, "password": PASSWORD, **changes})


# --- asking for another address ---------------------------------------------------------------------------------------


def test_the_new_address_is_pending_until_it_is_confirmed(
    api: Api, token: str, user: User, mailbox: AccountMailbox
) -> None:
    response = ask(api, token)
    assert (response.status_code, response.get_json()) == (202, {})
    account_json = api.get("/users/me", token).get_json()
    assert (account_json["email"], account_json["pending_email"]) == ("ada@example.com", "Countess@example.org")
    assert mailbox.mails() == [("change_email", "Countess@example.org")]
    assert events(user.id)[-1] == "email.change_requested"


def test_a_pending_address_is_shown_to_its_owner_alone_and_not_when_it_has_expired(
    app: Flask, api: Api, token: str, user: User, time: Time
) -> None:
    admin = a_session(app, a_user(app, roles=[ADMIN])).access_token
    ask(api, token)
    assert api("PATCH", "/users/me", token, json={}).get_json()["pending_email"] == "Countess@example.org"
    for path in (f"/users/{user.id}", "/users"):
        assert "pending_email" not in api.get(path, admin).get_data(as_text=True)
    time.passes(minutes=10)
    time.passes(CONFIRMABLE_FOR - timedelta(minutes=10))
    later = a_session(app, user).access_token
    assert api.get("/users/me", later).get_json()["pending_email"] is None


def test_the_password_is_needed_where_there_is_one(app: Flask, api: Api, token: str, mailbox: AccountMailbox) -> None:
    problem(ask(api, token, password="not the password"), 403, "wrong_password")
    missing = api("PUT", "/users/me/email", token, json={"email": NEW})
    assert problem(missing, 422, "validation_failed")["errors"][0]["pointer"] == "#/password"
    assert mailbox.mails() == []


def test_a_login_that_is_not_recent_is_not_enough(api: Api, token: str, time: Time) -> None:
    time.passes(minutes=6)
    problem(ask(api, token), 401, "step_up_required")
    problem(api("DELETE", "/users/me/email", token), 401, "step_up_required")
    recent = api.post("/auth/step-ups", {"password": PASSWORD}, token).get_json()["access_token"]
    assert ask(api, recent).status_code == 202


@pytest.mark.parametrize("address", ["ada@example.com", "ADA@EXAMPLE.COM"])
def test_the_present_address_is_accepted_and_nothing_is_sent(
    api: Api, token: str, mailbox: AccountMailbox, address: str
) -> None:
    assert ask(api, token, address).status_code == 202
    assert mailbox.mails() == []
    assert api.get("/users/me", token).get_json()["pending_email"] is None


def test_an_address_that_is_taken_is_answered_like_one_that_is_free(
    app: Flask, api: Api, token: str, mailbox: AccountMailbox
) -> None:
    a_user(app, "grace")
    free = ask(api, token)
    taken = ask(api, token, "Grace@example.com")
    assert (taken.status_code, taken.get_json()) == (free.status_code, free.get_json())
    assert api.get("/users/me", token).get_json()["pending_email"] == "Grace@example.com"
    assert mailbox.sends_no_link("change_email", "Grace@example.com"), "the holder is sent none, either"


def test_what_is_no_address_is_refused(api: Api, token: str) -> None:
    body = problem(ask(api, token, "not an address"), 422, "validation_failed")
    assert body["errors"][0]["pointer"] == "#/email"


def test_no_more_mails_are_stored_for_one_address_than_the_limit_allows(
    app: Flask, api: Api, token: str, mailbox: AccountMailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconfigured(app, monkeypatch, mail_rate_limit=RateLimit(3, 3600))
    for _ in range(5):
        assert ask(api, token).status_code == 202
    assert len(mailbox.mails()) == 3


def test_a_change_that_is_withdrawn_cannot_be_confirmed(
    api: Api, token: str, user: User, mailbox: AccountMailbox, services: Services
) -> None:
    ask(api, token)
    link = mailbox.link("change_email")
    for _ in range(2):
        assert api("DELETE", "/users/me/email", token).status_code == 204
    assert api.get("/users/me", token).get_json()["pending_email"] is None
    with pytest.raises(OneTimeTokenInvalid):
        services.email.link_confirmations.confirm(link, PASSWORD, GUEST)
    assert mailbox.sends_no_link("change_email")
    assert events(user.id).count("email.change_withdrawn") == 1
    assert db.session.scalar(select(func.count()).select_from(OneTimeToken)) == 0


def test_who_asks_for_the_present_address_withdraws_the_request_before(
    api: Api, token: str, user: User, mailbox: AccountMailbox, services: Services
) -> None:
    ask(api, token)
    link = mailbox.link("change_email")
    assert ask(api, token, "ADA@example.com").status_code == 202
    assert api.get("/users/me", token).get_json()["pending_email"] is None
    with pytest.raises(OneTimeTokenInvalid):
        services.email.link_confirmations.confirm(link, PASSWORD, GUEST)
    assert events(user.id).count("email.change_withdrawn") == 1


# --- confirming it ----------------------------------------------------------------------------------------------------


def test_the_link_changes_the_address_and_the_one_before_is_told(
    api: Api, token: str, user: User, mailbox: AccountMailbox, services: Services
) -> None:
    ask(api, token)
    link, other = mailbox.link("change_email"), issue(services, user, TokenPurpose.RESET_PASSWORD)
    services.email.link_confirmations.confirm(link, PASSWORD, GUEST)
    account_json = api.get("/users/me", token).get_json()
    assert (account_json["email"], account_json["pending_email"]) == ("Countess@example.org", None)
    assert account_json["email_verified_at"] is not None
    assert mailbox.mails()[-1] == ("email_changed", "ada@example.com")
    assert events(user.id)[-1] == "email.changed"
    assert not is_good(services, other, TokenPurpose.RESET_PASSWORD), "a link to the old address resets nothing"
    with pytest.raises(OneTimeTokenInvalid):
        services.email.link_confirmations.confirm(link, PASSWORD, GUEST)


def test_hooks_are_told_the_address_before(app: Flask, change: Callable[[str], None]) -> None:
    seen: list[Any] = []

    def receive(_app: object, *, fields: set[str], previous: dict[str, str], **_: object) -> None:
        seen.append((fields, previous))

    with hooks.user_changing.connected_to(receive, sender=app):
        change("b@example.com")
    assert seen == [({"email"}, {"email": "ada@example.com"})]


def test_the_link_to_an_address_that_is_no_longer_wanted_is_void(
    api: Api, token: str, mailbox: AccountMailbox, services: Services
) -> None:
    ask(api, token, "first@example.com")
    link = mailbox.link("change_email")
    ask(api, token, "second@example.com")
    with pytest.raises(OneTimeTokenInvalid):
        services.email.link_confirmations.confirm(link, PASSWORD, GUEST)


def test_the_link_is_void_for_a_disabled_account(
    api: Api, token: str, user: User, mailbox: AccountMailbox, services: Services
) -> None:
    ask(api, token)
    services.administration.disable(user.id, OPERATOR)
    assert mailbox.sends_no_link("change_email")
    stored = account("ada")
    with transaction():
        link = one_time_tokens.issue(stored.id, TokenPurpose.CHANGE_EMAIL, sent_to=NEW)
    with pytest.raises(OneTimeTokenInvalid):
        services.email.link_confirmations.confirm(link, PASSWORD, GUEST)
    assert account("ada").email == "ada@example.com"


def test_an_address_that_was_taken_meanwhile_leaves_the_link_good(
    app: Flask, api: Api, token: str, mailbox: AccountMailbox, services: Services
) -> None:
    ask(api, token, "grace@example.com")
    link = mailbox.link("change_email")
    grace = a_user(app, "grace")
    with pytest.raises(EmailTaken):
        services.email.link_confirmations.confirm(link, PASSWORD, GUEST)
    services.administration.delete(grace.id, OPERATOR)
    services.email.link_confirmations.confirm(link, PASSWORD, GUEST)
    assert account("ada").email == "grace@example.com"


@pytest.mark.parametrize(("minutes", "is_good"), [(-1, True), (0, False)])
def test_the_link_is_good_for_a_day_however_late_its_mail_was_sent(
    api: Api, token: str, mailbox: AccountMailbox, services: Services, time: Time, minutes: int, is_good: bool
) -> None:
    ask(api, token)
    time.passes(mail_kinds["change_email"].max_age - timedelta(minutes=1))
    link = mailbox.link("change_email")
    time.passes(hours=24, minutes=minutes)
    with nullcontext() if is_good else pytest.raises(OneTimeTokenInvalid):
        services.email.link_confirmations.confirm(link, PASSWORD, GUEST)


def test_the_request_expires_when_no_link_to_it_can_live(
    api: Api, token: str, mailbox: AccountMailbox, services: Services, time: Time
) -> None:
    ask(api, token)
    time.passes(hours=48)
    assert mailbox.sends_no_link("change_email")


@pytest.mark.parametrize("token", ["", "x", "A" * 64])
def test_what_is_no_token_confirms_nothing(services: Services, app: Flask, token: str) -> None:
    with app.app_context(), pytest.raises(OneTimeTokenInvalid):
        services.email.link_confirmations.confirm(token, PASSWORD, GUEST)
