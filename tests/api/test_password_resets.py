"""POST and PUT /auth/password-resets."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from authapp import clock
from authapp.config import RateLimit
from authapp.context import OPERATOR
from authapp.database.session import db, transaction
from authapp.domain import hooks, one_time_tokens
from authapp.domain.mail.counted_mails import LIMIT_NAME
from authapp.domain.passwords.hashing import PasswordHasher
from authapp.domain.services import Services
from authapp.domain.token_purposes import TokenPurpose, token_purposes
from authapp.domain.users.administration import Changes
from authapp.errors import PermissionDenied
from authapp.models import OneTimeToken, RateLimitCounter, Throttle, User, UserStatus
from clocks import Time
from conftest import created, reconfigured
from databases import Databases
from factories import PASSWORD, Api, a_session, a_token, a_user, events_of, mails, problem
from settings import MAIL

NEW = "another good pass phrase"
PATH = "/auth/password-resets"


def complete(api: Api, token: str, password: str = NEW) -> Any:
    return api("PUT", PATH, json={"token": token, "new_password": password})


def verified(app: Flask, **changes: Any) -> User:
    user = a_user(app, **changes)
    with app.app_context():
        return Services.of(app).email.verifications.mark(user.id, OPERATOR)


def account(app: Flask, user: User) -> User:
    with app.app_context():
        return db.session.get_one(User, user.id, populate_existing=True)


# --- the request -----------------------------------------------------------------------------------------------------


def test_a_request_stores_one_mail_and_says_nothing_whoever_has_the_address(app: Flask, api: Api) -> None:
    known, disabled = a_user(app), a_user(app)
    with app.app_context():
        Services.of(app).administration.disable(disabled.username, OPERATOR)
    before = len(mails(app))
    answers = [api.post(PATH, {"email": each}) for each in (known.email, "nobody@example.com", disabled.email)]

    assert [(each.status_code, each.data) for each in answers] == [(202, b"{}\n")] * 3
    assert len({tuple(name for name, _ in each.headers) for each in answers}) == 1
    kinds = [(kind, address) for kind, address, _ in mails(app)[before:]]
    assert kinds == [("reset_password", each) for each in (known.email, "nobody@example.com", disabled.email)]


@pytest.mark.parametrize("email", ["nobody", "", "a@b", "a@example.com\r\nBcc: b@example.com", 7, None, ["a@b.com"]])
def test_what_is_no_address_is_named(api: Api, email: Any) -> None:
    body = problem(api.post(PATH, {"email": email}), 422, "validation_failed")
    assert [error["pointer"] for error in body["errors"]] == ["#/email"]


def test_no_more_mails_than_the_limit_are_stored_and_the_answer_stays_the_same(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconfigured(app, monkeypatch, **MAIL | {"mail_rate_limit": RateLimit(2, 3600)})
    answers = [api.post(PATH, {"email": "ada@example.com"}) for _ in range(4)]
    assert {(each.status_code, each.data) for each in answers} == {(202, b"{}\n")}
    assert len(mails(app)) == 2


def test_without_a_limit_every_mail_is_stored_and_nothing_is_counted(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconfigured(app, monkeypatch, **MAIL | {"mail_rate_limit": None})
    for _ in range(4):
        assert api.post(PATH, {"email": "ada@example.com"}).status_code == 202
    assert len(mails(app)) == 4
    with app.app_context():
        counted = select(RateLimitCounter.counted_key).where(RateLimitCounter.limit_name == LIMIT_NAME)
        assert db.session.scalars(counted).all() == []


def test_requests_for_other_mails_do_not_use_up_the_resets_of_an_address(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A verification of a verified address is dropped silently: its owner would never know why no reset comes."""
    reconfigured(app, monkeypatch, **MAIL | {"mail_rate_limit": RateLimit(2, 3600)})
    for _ in range(4):
        assert api.post("/auth/email-verifications", {"email": "ada@example.com"}).status_code == 202
    assert api.post(PATH, {"email": "ada@example.com"}).status_code == 202
    assert [kind for kind, _, _ in mails(app)] == ["verify_email", "verify_email", "reset_password"]


# --- the reset -------------------------------------------------------------------------------------------------------


def test_a_reset_sets_the_password_and_ends_every_session_without_handing_out_tokens(app: Flask, api: Api) -> None:
    user = verified(app)
    pairs = [a_session(app, user), a_session(app, user)]

    response = complete(api, a_token(app, user))

    assert (response.status_code, response.data) == (204, b"")
    for pair in pairs:
        problem(api.get("/ping", pair.access_token), 401, "token_revoked")
        problem(api.post("/auth/refresh", {"refresh_token": pair.refresh_token}), 401, "token_revoked")
    problem(api.log_in(user.username), 401, "invalid_credentials")
    assert api.log_in(user.username, NEW).status_code == 200


def test_a_reset_verifies_the_address_and_writes_its_events_and_its_mail(app: Flask, api: Api) -> None:
    user = a_user(app)
    assert complete(api, a_token(app, user)).status_code == 204

    assert account(app, user).email_verified_at is not None
    types = [event.type for event in events_of(app, user)]
    assert types == ["user.created", "email.verified", "password.reset"]
    assert [kind for kind, _, user_id in mails(app) if user_id == user.id] == ["password_changed"]


def test_the_reset_of_a_verified_account_verifies_nothing_again(app: Flask, api: Api) -> None:
    user = verified(app)
    assert complete(api, a_token(app, user)).status_code == 204
    assert account(app, user).email_verified_at == user.email_verified_at
    assert len(events_of(app, user, "email.verified")) == 1


def test_a_reset_forgets_the_failed_logins_and_opens_a_locked_name(app: Flask, api: Api) -> None:
    user = verified(app)
    for _ in range(12):
        api.log_in(user.username, "not the password")
    problem(api.log_in(user.username), 429, "too_many_requests")

    assert complete(api, a_token(app, user)).status_code == 204
    with app.app_context():
        counted = select(func.count()).where(Throttle.counted_id == user.id)
        assert db.session.scalar(counted) == 0
    assert api.log_in(user.username, NEW).status_code == 200


@pytest.mark.parametrize("purpose", sorted(set(token_purposes) - {TokenPurpose.UNDO_EMAIL, TokenPurpose.UNDO_FACTORS}))
def test_a_reset_voids_every_other_token(app: Flask, api: Api, purpose: str) -> None:
    user = verified(app)
    a_token(app, user, purpose)
    assert complete(api, a_token(app, user)).status_code == 204
    with app.app_context():
        assert db.session.scalar(select(func.count()).where(OneTimeToken.user_id == user.id)) == 0


def test_a_reset_withdraws_a_pending_address_so_that_its_mail_gets_no_token(app: Flask, api: Api) -> None:
    user = verified(app)
    with app.app_context(), transaction():
        row = db.session.get_one(User, user.id)
        row.pending_email, row.pending_email_until = "thief@example.com", clock.now() + timedelta(hours=1)
    assert complete(api, a_token(app, user)).status_code == 204
    after = account(app, user)
    assert (after.pending_email, after.pending_email_until) == (None, None)


def test_an_account_without_a_password_gets_one(app: Flask, api: Api) -> None:
    user = verified(app, password=None)
    assert complete(api, a_token(app, user)).status_code == 204
    assert api.log_in(user.username, NEW).status_code == 200


def test_signals_are_sent_after_the_commit(app: Flask, api: Api) -> None:
    user, sent = verified(app), []
    a_session(app, user)

    def record(_app: object, **details: Any) -> None:
        sent.append((details["user_id"], details.get("reason")))

    with hooks.password_changed.connected_to(record, app), hooks.session_ended.connected_to(record, app):
        assert complete(api, a_token(app, user)).status_code == 204
    assert sent == [(user.id, None), (user.id, "password_changed")]


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that were hashed."""
    hashed: list[str] = []
    compute = PasswordHasher.hash

    def counting(self: PasswordHasher, password: str, context: Any) -> str:
        hashed.append(password)
        return compute(self, password, context)

    monkeypatch.setattr(PasswordHasher, "hash", counting)
    return hashed


def invalid_tokens(app: Flask, time: Time) -> Mapping[str, str]:
    """One token for each reason to refuse it."""
    user, disabled, moved, used = (verified(app) for _ in range(4))
    expired = a_token(app, user)
    time.passes(timedelta(hours=1))
    good = a_token(app, used)
    with app.app_context():
        with transaction():
            one_time_tokens.use(good, TokenPurpose.RESET_PASSWORD)
        elsewhere = a_token(app, moved, sent_to="old@example.com")
        dead = a_token(app, disabled)
        with transaction():  # as if disabling had not voided it
            db.session.get_one(User, disabled.id).status = UserStatus.DISABLED
    others = {
        purpose: a_token(app, user, purpose) for purpose in token_purposes if purpose != TokenPurpose.RESET_PASSWORD
    }
    return {
        "garbage": "garbage",
        "empty": "",
        "unknown": "A" * 64,
        "expired": expired,
        "used": good,
        "for another address": elsewhere,
        "of a disabled account": dead,
        **others,
    }


def test_every_token_that_is_not_good_gets_one_answer_and_costs_no_hash(
    app: Flask, api: Api, time: Time, hashes: list[str]
) -> None:
    tokens = invalid_tokens(app, time)
    hashes.clear()
    bodies = set()
    for reason, token in tokens.items():
        body = problem(complete(api, token), 400, "one_time_token_invalid")
        assert body.pop("request_id")
        bodies.add(str(sorted(body.items())))
        assert hashes == [], reason
    assert len(bodies) == 1


def test_a_token_is_good_once(app: Flask, api: Api) -> None:
    user = verified(app)
    token = a_token(app, user)
    assert complete(api, token).status_code == 204
    problem(complete(api, token, "yet another pass phrase"), 400, "one_time_token_invalid")
    assert api.log_in(user.username, NEW).status_code == 200


@pytest.mark.parametrize(("password", "reason"), [("short", "fewer than 8"), ("user-{}-secret", "the username")])
def test_a_rejected_password_leaves_the_token_good(
    app: Flask, api: Api, hashes: list[str], password: str, reason: str
) -> None:
    user = verified(app)
    token = a_token(app, user)
    hashes.clear()
    body = problem(complete(api, token, password.format(user.username)), 422, "password_rejected")
    assert {error["pointer"] for error in body["errors"]} == {"#/new_password"}
    assert reason in body["errors"][0]["detail"]
    assert hashes == []
    assert complete(api, token).status_code == 204


def test_a_change_of_the_address_while_the_password_is_hashed_is_seen(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = verified(app)
    token = a_token(app, user)
    compute = PasswordHasher.hash

    def meanwhile(self: PasswordHasher, password: str, context: Any) -> str:
        Services.of(app).administration.change(user.id, Changes(email="moved@example.com"), OPERATOR)
        return compute(self, password, context)

    monkeypatch.setattr(PasswordHasher, "hash", meanwhile)
    problem(complete(api, token), 400, "one_time_token_invalid")
    assert api.log_in(user.username, PASSWORD).status_code == 200


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, {"#/token", "#/new_password"}),
        ({"token": 7, "new_password": NEW}, {"#/token"}),
        ({"token": "x", "new_password": None}, {"#/new_password"}),
        ({"token": "x", "new_password": NEW, "username": "admin"}, {"#/username"}),
    ],
)
def test_each_field_that_is_wrong_is_named(api: Api, body: dict[str, Any], pointers: set[str]) -> None:
    answer = problem(api("PUT", PATH, json=body), 422, "validation_failed")
    assert {error["pointer"] for error in answer["errors"]} == pointers


def test_what_a_receiver_refuses_leaves_everything_as_it_was(app: Flask, api: Api) -> None:
    user = verified(app)
    token = a_token(app, user)

    def refuse(_app: object, **_: object) -> None:
        raise PermissionDenied

    with hooks.user_changing.connected_to(refuse, app):
        problem(complete(api, token), 403, "permission_denied")
    assert api.log_in(user.username).status_code == 200
    assert complete(api, token).status_code == 204


def test_without_mail_there_are_no_such_routes(databases: Databases) -> None:
    for app in created(databases, mail_url=None):
        routes_are_missing(Api(app.test_client()))


def routes_are_missing(guest: Api) -> None:
    for method, path in (("POST", PATH), ("PUT", PATH), ("POST", "/auth/email-verifications")):
        problem(guest(method, path, json={}), 404, "not_found")
    assert not [path for path in guest.client.get("/openapi.json").get_json()["paths"] if "reset" in path]
