"""Who may confirm a new address: the owner of the account, and not whoever clicks on the link."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from authapp.database.session import db, transaction
from authapp.domain.email import previous_addresses
from authapp.domain.services import Services
from authapp.domain.token_purposes import TokenPurpose
from authapp.models import OneTimeToken, User
from conftest import reconfigured
from factories import GUEST, PASSWORD, Api, a_session, a_token, a_user, problem

VICTIM = "victim@example.com"
MODES = ["off", "optional", "required"]


@pytest.fixture(params=MODES)
def mode(app: Flask, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    verification: str = request.param
    reconfigured(app, monkeypatch, email_verification=verification)
    return verification


@pytest.fixture
def mallory(app: Flask) -> User:
    return a_user(app, "mallory")


@pytest.fixture
def link(app: Flask, mallory: User) -> str:
    """The token of the mail to an address that Mallory asked for."""
    return asked_for(app, mallory, VICTIM)


def asked_for(app: Flask, user: User, address: str) -> str:
    with app.app_context():
        Services.of(app).email.address_changes.request(user.id, address, PASSWORD, GUEST)
    return a_token(app, user, TokenPurpose.CHANGE_EMAIL, sent_to=address)


def confirm(api: Api, link: str, bearer: str | None = None, **body: str) -> Any:
    return api("PUT", "/auth/email-verifications", bearer, json={"token": link, **body})


def address_of(app: Flask, user: User) -> str | None:
    with app.app_context():
        return db.session.scalar(select(User.email).where(User.id == user.id))


def void_password(app: Flask, user: User) -> None:
    with app.app_context(), transaction():
        db.session.get_one(User, user.id).password_hash = None


def test_a_click_alone_binds_nobody_s_address_to_the_account_of_somebody_else(
    app: Flask, api: Api, mode: str, mallory: User, link: str
) -> None:
    body = problem(confirm(api, link), 422, "validation_failed")
    assert [error["pointer"] for error in body["errors"]] == ["#/password"]
    problem(confirm(api, link, password="the victim's own"), 403, "wrong_password")
    victim = a_session(app, a_user(app, "victim", email="other@example.com")).access_token
    problem(confirm(api, link, victim), 422, "validation_failed")
    assert address_of(app, mallory) == mallory.email


def test_the_password_confirms_and_a_refused_one_left_the_link_good(
    app: Flask, api: Api, mode: str, mallory: User, link: str
) -> None:
    problem(confirm(api, link, password="not the password"), 403, "wrong_password")
    assert confirm(api, link, password=PASSWORD).status_code == 204
    assert address_of(app, mallory) == VICTIM


def test_a_session_of_the_account_takes_the_place_of_the_password(
    app: Flask, api: Api, mallory: User, link: str
) -> None:
    assert confirm(api, link, a_session(app, mallory).access_token).status_code == 204
    assert address_of(app, mallory) == VICTIM


def test_an_account_without_a_password_is_confirmed_in_a_session_of_it(
    app: Flask, api: Api, mallory: User, link: str
) -> None:
    """Whoever registers an address and logs in with a link has such an account."""
    session = a_session(app, mallory).access_token
    void_password(app, mallory)
    for body in ({}, {"password": PASSWORD}):
        problem(confirm(api, link, **body), 403, "wrong_password")
    assert address_of(app, mallory) == mallory.email
    assert confirm(api, link, session).status_code == 204
    assert address_of(app, mallory) == VICTIM


def test_guesses_are_counted_by_account(api: Api, link: str) -> None:
    codes = [confirm(api, link, password="not the password").get_json()["code"] for _ in range(12)]
    assert codes == ["wrong_password"] * 10 + ["too_many_requests"] * 2


def test_no_password_is_looked_at_for_a_link_to_an_address_that_is_no_longer_wanted(
    app: Flask, api: Api, mallory: User, link: str
) -> None:
    with app.app_context(), transaction():
        db.session.get_one(User, mallory.id).forget_pending_email()
    problem(confirm(api, link), 400, "one_time_token_invalid")


def test_to_undo_a_change_the_link_is_enough(app: Flask, api: Api, mode: str, mallory: User, link: str) -> None:
    assert confirm(api, link, password=PASSWORD).status_code == 204
    undo = a_token(app, mallory, TokenPurpose.UNDO_EMAIL, sent_to=mallory.email)
    assert confirm(api, undo).status_code == 204
    assert address_of(app, mallory) == mallory.email


def test_whoever_takes_an_account_over_is_not_robbed_of_it_with_an_undo_link(
    app: Flask, api: Api, mallory: User
) -> None:
    with app.app_context(), transaction():
        prepared = db.session.get_one(User, mallory.id)
        assert previous_addresses.remember(prepared, mallory.email, was_ever_verified=False)
        prepared.email = VICTIM
    undo = a_token(app, mallory, TokenPurpose.UNDO_EMAIL, sent_to=mallory.email)
    reset = {"token": a_token(app, mallory, sent_to=VICTIM), "new_password": "another good pass phrase"}
    assert api("PUT", "/auth/password-resets", json=reset).status_code == 204
    problem(confirm(api, undo), 400, "one_time_token_invalid")
    assert address_of(app, mallory) == VICTIM


def test_asking_for_another_address_makes_room_for_its_link(app: Flask, mallory: User, link: str) -> None:
    asked_for(app, mallory, "second@example.com")
    with app.app_context():
        keys = db.session.scalars(select(OneTimeToken.address_key).where(OneTimeToken.user_id == mallory.id)).all()
    assert keys == ["second@example.com"]
