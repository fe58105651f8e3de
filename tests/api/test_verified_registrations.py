"""Where ``AUTHAPP_EMAIL_VERIFICATION`` is ``required``: registration, verification and login."""

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, select

from authapp.config import RateLimit
from authapp.context import OPERATOR
from authapp.database.session import db
from authapp.domain import hooks
from authapp.domain.services import Services
from authapp.domain.token_purposes import TokenPurpose, token_purposes
from authapp.domain.users.administration import Changes
from authapp.errors import RegistrationClosed
from authapp.models import User
from conftest import reconfigured
from domain.concurrently import at_once
from factories import GUEST, PASSWORD, Api, a_session, a_token, a_user, all_events, events_of, mails, problem
from settings import MAIL

pytestmark = pytest.mark.verified

ADA = {"username": "ada", "email": "ada@example.com", "password": PASSWORD}
PATH = "/auth/email-verifications"


def user_named(app: Flask, username: str) -> User:
    with app.app_context():
        return Services.of(app).accounts.find(username)


def accounts(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(User)) or 0


def confirm(api: Api, token: str, bearer: str | None = None, **more: Any) -> Any:
    return api("PUT", PATH, bearer, json={"token": token, **more})


# --- registration ----------------------------------------------------------------------------------------------------


def test_the_answer_is_the_same_whether_or_not_the_address_is_taken(app: Flask, api: Api) -> None:
    free = api.post("/auth/register", ADA)
    taken = api.post("/auth/register", ADA | {"username": "mallory", "email": "ADA@example.com"})

    assert [(each.status_code, each.data) for each in (free, taken)] == [(202, b"{}\n")] * 2
    assert [name for name, _ in free.headers] == [name for name, _ in taken.headers]
    assert mails(app) == [
        ("verify_email", "ada@example.com", None),
        ("account_exists", "ADA@example.com", None),
    ]
    assert user_named(app, "ada").email == "ada@example.com"
    assert user_named(app, "mallory").email.endswith("@taken.invalid"), "which nobody can verify"
    for name in ("ada", "mallory"):
        assert [each.type for each in events_of(app, user_named(app, name))] == ["user.registered"]


@pytest.fixture(params=["verified", "never verified"])
def grace(app: Flask, request: pytest.FixtureRequest) -> User:
    """An account whose address guests try."""
    user = a_user(app, "grace")
    if request.param == "verified":
        with app.app_context():
            Services.of(app).email.verifications.mark("grace", OPERATOR)
    return user


def by_login(api: Api, name: str, password: str) -> Any:
    return api.log_in(name, password)


def by_basic(api: Api, name: str, password: str) -> Any:
    basic = {"Authorization": "Basic " + b64encode(f"{name}:{password}".encode()).decode()}
    return api.post("/auth/revoke", headers=basic, data={"token": "x"})


BOTH_WAYS = pytest.mark.parametrize("log_in", [by_login, by_basic])
MALLORYS = "another good pass phrase"


@BOTH_WAYS
def test_what_follows_tells_no_more(app: Flask, api: Api, grace: User, log_in: Callable[..., Any]) -> None:
    for name, email in (("free", "free@example.com"), ("taken", grace.email)):
        body = {"username": name, "email": email, "password": MALLORYS}
        assert api.post("/auth/register", body).status_code == 202
        problem(log_in(api, name, MALLORYS), 403, "email_not_verified")
        problem(log_in(api, email, MALLORYS), 401, "invalid_credentials")
        again = ADA | {"username": name, "email": "other@example.com"}
        problem(api.post("/auth/register", again), 409, "username_taken")
    refused = [each for each in all_events(app, "login.refused") if "failures" in each.details]
    assert [each.details for each in refused] == [{"failures": 1}] * 2


@BOTH_WAYS
def test_neither_does_the_count_of_failures_under_the_address(
    app: Flask, api: Api, grace: User, log_in: Callable[..., Any]
) -> None:
    most = Services.of(app).settings.login_failures_per_account
    codes: dict[str, list[str]] = {}
    for name, email in (("free", "free@example.com"), ("taken", grace.email)):
        first = [log_in(api, email, MALLORYS) for _ in range(most - 1)]
        body = {"username": name, "email": email, "password": MALLORYS}
        assert api.post("/auth/register", body).status_code == 202
        codes[name] = [each.get_json()["code"] for each in (*first, *(log_in(api, email, MALLORYS) for _ in range(3)))]
    assert codes["free"] == codes["taken"]
    assert codes["free"][-1] == "too_many_requests"


def test_the_statements_are_the_same_whether_or_not_the_address_is_taken(app: Flask, api: Api) -> None:
    a_user(app, "grace")
    with app.app_context():
        connection = db.engine
    statements: list[str] = []

    def record(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(re.sub("sa_savepoint_[0-9]+", "savepoint", statement))

    event.listen(connection, "before_cursor_execute", record)
    made = []
    for name, email in (("free", "free@example.com"), ("taken", "grace@example.com")):
        statements.clear()
        assert api.post("/auth/register", ADA | {"username": name, "email": email}).status_code == 202
        made.append(list(statements))
    event.remove(connection, "before_cursor_execute", record)

    free, taken = made
    differing = [pair for pair in zip(free, taken, strict=True) if len(set(pair)) > 1]
    ((key, address),) = differing
    assert (key.partition("=")[0], address.partition("=")[0]) == (
        "UPDATE users SET email_key",
        "UPDATE users SET email",
    )
    assert len(free) > 5


@pytest.mark.parametrize("email", ["ada@example.com", "other@example.com"])
def test_a_username_is_taken_whether_or_not_the_address_is(app: Flask, api: Api, email: str) -> None:
    a_user(app, "Ada")
    before = mails(app)
    problem(api.post("/auth/register", ADA | {"username": "aDA", "email": email}), 409, "username_taken")
    assert (accounts(app), mails(app)) == (1, before)


def test_a_mail_to_the_address_is_counted_whoever_has_it(app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = MAIL | {"mail_rate_limit": RateLimit(2, 3600), "email_verification": "required"}
    reconfigured(app, monkeypatch, **changes)
    for number in range(4):
        assert api.post("/auth/register", ADA | {"username": f"ada{number}"}).status_code == 202
    assert [kind for kind, _, _ in mails(app)] == ["verify_email", "account_exists", "account_exists"]


@contextmanager
def refusing_elsewhere(app: Flask, seen: list[str]) -> Iterator[None]:
    """Refuse accounts whose address is not of the company."""

    def check(_app: object, *, user_id: Any, **_: object) -> None:
        address = db.session.get_one(User, user_id).email
        seen.append(address)
        if not address.endswith("@example.com"):
            raise RegistrationClosed

    with hooks.user_creating.connected_to(check, app):
        yield


def test_a_receiver_sees_and_refuses_the_same_whether_or_not_the_address_is_taken(app: Flask, api: Api) -> None:
    a_user(app, "grace")
    a_user(app, "hopper", email="hopper@example.org")
    seen: list[str] = []
    with refusing_elsewhere(app, seen):
        for email in ("grace@example.com", "free@example.com"):
            assert api.post("/auth/register", ADA | {"username": email[:4], "email": email}).status_code == 202
        for email in ("hopper@example.org", "free@example.org"):
            problem(api.post("/auth/register", ADA | {"email": email}), 403, "registration_closed")
    assert seen == ["grace@example.com", "free@example.com", "hopper@example.org", "free@example.org"]


def test_only_an_account_that_exists_is_reported_to_receivers(app: Flask, api: Api) -> None:
    sent = []

    def record(_app: object, **details: Any) -> None:
        sent.append(details["username"])

    with hooks.user_registered.connected_to(record, app):
        for name in ("ada", "mallory"):
            assert api.post("/auth/register", ADA | {"username": name}).status_code == 202
    assert sent == ["ada"]


@pytest.mark.parametrize(
    ("change", "code"), [({"email": "nobody"}, "validation_failed"), ({"password": "short"}, "password_rejected")]
)
def test_what_is_wrong_is_named_as_elsewhere(app: Flask, api: Api, change: dict[str, str], code: str) -> None:
    problem(api.post("/auth/register", ADA | change), 422, code)
    assert accounts(app) == 0


def test_the_document_says_so(app: Flask, api: Api, shared_app: Flask) -> None:
    document, other = (each.client.get("/openapi.json").get_json() for each in (api, Api(shared_app.test_client())))
    register, login = (document["paths"][f"/api/v1/auth/{name}"]["post"] for name in ("register", "login"))
    assert (register["operationId"], register["tags"]) == ("registerUser", ["auth"])
    assert {"202", "409"} <= register["responses"].keys()
    assert "201" not in register["responses"]
    assert "email_taken" not in str(register["responses"])
    assert "email_not_verified" in str(login["responses"]["403"])
    assert "email_not_verified" not in str(other["paths"]["/api/v1/auth/login"])


# --- login -----------------------------------------------------------------------------------------------------------


def test_nobody_logs_in_before_the_address_is_verified(app: Flask, api: Api) -> None:
    assert api.post("/auth/register", ADA).status_code == 202
    user = user_named(app, "ada")
    problem(api.log_in("ada", "not the password"), 401, "invalid_credentials")
    problem(api.log_in("ada"), 403, "email_not_verified")
    assert [each.details.get("code") for each in events_of(app, user, "login.refused")] == [
        *(None, "email_not_verified")
    ]

    assert confirm(api, a_token(app, user, TokenPurpose.VERIFY_EMAIL), password=PASSWORD).status_code == 204
    assert api.log_in("ada").status_code == 200
    assert api.log_in("ada@example.com").status_code == 200


def test_http_basic_is_no_way_around(app: Flask, api: Api) -> None:
    a_user(app, "ada")
    problem(by_basic(api, "ada", PASSWORD), 403, "email_not_verified")
    with app.app_context():
        Services.of(app).email.verifications.mark("ada", OPERATOR)
    for name in ("ada", "ada@example.com"):
        assert by_basic(api, name, PASSWORD).status_code == 200


@BOTH_WAYS
def test_a_new_address_of_a_verified_account_is_known_at_once(app: Flask, api: Api, log_in: Callable[..., Any]) -> None:
    """An administrator has set it, so that no guest learns anything by it."""
    user = a_user(app, "ada")
    with app.app_context():
        services = Services.of(app)
        services.email.verifications.mark("ada", OPERATOR)
        services.administration.change(user.id, Changes(email="moved@example.com"), OPERATOR)
    problem(log_in(api, "moved@example.com", PASSWORD), 403, "email_not_verified")


def test_a_reset_opens_the_account_too(app: Flask, api: Api) -> None:
    user = a_user(app)
    body = {"token": a_token(app, user), "new_password": "another good pass phrase"}
    assert api("PUT", "/auth/password-resets", json=body).status_code == 204
    assert api.log_in(user.username, body["new_password"]).status_code == 200


def test_an_account_that_other_code_registers_for_a_guest_is_sent_a_link(app: Flask) -> None:
    with app.app_context():
        Services.of(app).accounts.register(**ADA, context=GUEST)
    assert mails(app) == [("verify_email", "ada@example.com", None)]


def test_an_account_that_an_administrator_creates_is_sent_a_link(app: Flask) -> None:
    user = a_user(app)
    assert mails(app) == [("verify_email", user.email, None)]


# --- verification: the link and the password -------------------------------------------------------------------------


def test_the_link_alone_verifies_nothing(app: Flask, api: Api) -> None:
    """Somebody may have registered the address of another person, and waits for that person's click."""
    user = a_user(app)
    token = a_token(app, user, TokenPurpose.VERIFY_EMAIL)

    body = problem(confirm(api, token), 422, "validation_failed")
    assert [error["pointer"] for error in body["errors"]] == ["#/password"]
    problem(confirm(api, token, password="not the password"), 403, "wrong_password")
    assert user_named(app, user.username).email_verified_at is None

    assert confirm(api, token, password=PASSWORD).status_code == 204
    assert user_named(app, user.username).email_verified_at is not None


def test_guesses_of_the_password_are_counted_by_account_whoever_logs_in(app: Flask, api: Api) -> None:
    user, thief = a_user(app), a_user(app)
    with app.app_context():
        Services.of(app).email.verifications.mark(thief.id, OPERATOR)
    token, codes = a_token(app, user, TokenPurpose.VERIFY_EMAIL), []
    for number in range(12):
        bearer = a_session(app, thief).access_token if number % 2 else None
        codes.append(confirm(api, token, bearer, password="not the password").get_json()["code"])
    assert codes[:10] == ["wrong_password"] * 10
    assert codes[10:] == ["too_many_requests"] * 2


def test_no_hash_is_computed_for_a_token_that_is_not_good(app: Flask, api: Api) -> None:
    user = a_user(app)
    for purpose in set(token_purposes) - {TokenPurpose.UNDO_FACTORS}:  # which needs no password
        token = "x" if purpose == TokenPurpose.VERIFY_EMAIL else a_token(app, user, purpose)
        problem(confirm(api, token, password="not the password"), 400, "one_time_token_invalid")
    assert events_of(app, user, "password.refused") == []


def test_a_session_of_the_account_takes_the_place_of_the_password_and_no_other_does(app: Flask, api: Api) -> None:
    user, other = a_user(app), a_user(app)
    with app.app_context():
        services = Services.of(app)
        for each in (user, other):
            services.email.verifications.mark(each.id, OPERATOR)
    sessions = {each.id: a_session(app, each).access_token for each in (user, other)}
    with app.app_context():
        services.administration.change(user.id, Changes(email="moved@example.com"), OPERATOR)
    token = a_token(app, user, TokenPurpose.VERIFY_EMAIL, sent_to="moved@example.com")

    problem(confirm(api, token, sessions[other.id]), 422, "validation_failed")
    problem(confirm(api, token, "not.a.token"), 422, "validation_failed")
    assert confirm(api, token, sessions[user.id]).status_code == 204
    (*_, verified) = events_of(app, user, "email.verified")
    assert verified.actor_id == user.id


def test_an_account_without_a_password_is_not_verified_by_the_link_alone(app: Flask, api: Api) -> None:
    """Whoever has prepared it may get in with another credential. A reset proves the address, and ends those."""
    user = a_user(app, password=None)
    link = a_token(app, user, TokenPurpose.VERIFY_EMAIL)
    for body in ({}, {"password": PASSWORD}):
        refused = problem(confirm(api, link, **body), 403, "wrong_password")
        assert "reset" in refused["detail"]
    assert user_named(app, user.username).email_verified_at is None
    reset = {"token": a_token(app, user), "new_password": "another good pass phrase"}
    assert api("PUT", "/auth/password-resets", json=reset).status_code == 204
    assert user_named(app, user.username).email_verified_at is not None


def test_the_owner_of_an_address_that_somebody_else_registered_needs_no_password_to_end_it(
    app: Flask, api: Api
) -> None:
    user = a_user(app)
    token = a_token(app, user, TokenPurpose.VERIFY_EMAIL)
    assert api("DELETE", PATH, json={"token": token}).status_code == 204
    assert accounts(app) == 0


@pytest.mark.committed
def test_of_two_who_register_an_address_at_once_one_gets_it_and_neither_learns_which(app: Flask) -> None:
    registration = Services.of(app).email.verified_registrations

    def register(name: str) -> None:
        names = {"username": name, "email": "ada@example.com"}
        registration.register(**names, password=PASSWORD, context=GUEST)

    for number in range(10):
        with app.app_context():
            for user in db.session.scalars(select(User)).all():
                Services.of(app).administration.delete(user.id, OPERATOR)
        outcomes = at_once(app, *[lambda name=f"ada{number}-{each}": register(name) for each in range(4)])
        assert outcomes == [None] * 4
        with app.app_context():
            holders = select(func.count()).select_from(User).where(User.email_key == "ada@example.com")
            assert (accounts(app), db.session.scalar(holders)) == (4, 1)
    kinds = [kind for kind, _, _ in mails(app)]
    assert (kinds.count("verify_email"), kinds.count("account_exists")) == (10, 30)
