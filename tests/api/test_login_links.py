"""Logging in with a link or a code in a mail."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select

from authapp import hooks
from authapp.context import OPERATOR
from authapp.database.session import db, transaction
from authapp.domain import one_time_tokens, throttles
from authapp.domain.email.login_codes import MAX_GUESSES
from authapp.domain.email.login_links import LoginChallenge
from authapp.domain.services import Services
from authapp.domain.token_purposes import TokenPurpose, token_purposes
from authapp.errors import PermissionDenied
from authapp.models import AuditEvent, OneTimeToken, OutgoingMail, Throttle, User
from authapp.security import base64url
from authapp.security.one_time_codes import code_hash
from clocks import Time
from conftest import reconfigured
from factories import GUEST, Api, a_session, a_user, problem

CODE, WRONG = "12345678", "87654321"


@pytest.fixture
def user(app: Flask) -> User:
    """A user who has verified the address."""
    user = a_user(app, "ada")
    with app.app_context(), transaction():
        db.session.get_one(User, user.id).set_verified(user.created_at)
    return user


@pytest.fixture
def services(app: Flask) -> Iterator[Services]:
    with app.app_context():
        yield Services.of(app)


def ask(api: Api, email: str = "ada@example.com") -> str:
    response = api.post("/auth/login-links", {"email": email})
    assert response.status_code == 202, response.get_json()
    challenge: str = response.get_json()["challenge"]
    return challenge


def send(services: Services, user: User, code: str = CODE) -> str:
    """Send the newest login link, as delivery does, and return the token in it."""
    newest = select(OutgoingMail).where(OutgoingMail.kind == "login_link").order_by(OutgoingMail.id.desc())
    stored = db.session.scalars(newest.limit(1)).one()
    with transaction():
        return one_time_tokens.issue(
            user.id,
            TokenPurpose.LOGIN,
            sent_to=user.email,
            challenge_hash=stored.challenge_hash,
            code_hash=stored.challenge_hash and code_hash(stored.challenge_hash, code),
        )


def log_in(api: Api, challenge: str, **sent: str) -> Any:
    return api("PUT", "/auth/login-links", json={"challenge": challenge, **sent})


def refused(api: Api, challenge: str, **sent: str) -> None:
    problem(log_in(api, challenge, **sent), 400, "one_time_token_invalid")


def events() -> list[tuple[str, UUID | None, dict[str, Any]]]:
    ordered = select(AuditEvent).order_by(AuditEvent.occurred_at, AuditEvent.id)
    return [(event.type, event.subject_id, event.details) for event in db.session.scalars(ordered)]


# --- requesting -------------------------------------------------------------------------------------------------------


def test_everybody_gets_a_challenge_of_256_bits_and_the_outbox_its_hash_alone(
    api: Api, user: User, services: Services
) -> None:
    answers = [api.post("/auth/login-links", {"email": email}) for email in (user.email, "nobody@example.com")]
    for answer in answers:
        assert answer.status_code == 202
        body = answer.get_json()
        assert body.keys() == {"challenge", "expires_in"}
        assert body["expires_in"] == 600
        assert len(base64url.decode(body["challenge"])) == 32
    rows = db.session.scalars(select(OutgoingMail)).all()
    assert {row.kind for row in rows} == {"login_link"}
    assert len({row.challenge_hash for row in rows}) == 2
    for row, answer in zip(sorted(rows, key=lambda row: row.id), answers, strict=True):
        assert base64url.decode(answer.get_json()["challenge"]) != row.challenge_hash
    assert db.session.scalars(select(OneTimeToken)).all() == []


def test_what_is_no_address_is_refused(api: Api) -> None:
    body = problem(api.post("/auth/login-links", {"email": "ada"}), 422, "validation_failed")
    assert body["errors"][0]["pointer"] == "#/email"


# --- logging in -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["token", "code", "code in groups"])
def test_the_link_and_the_code_log_in_once(api: Api, user: User, services: Services, way: str) -> None:
    challenge = ask(api)
    token = send(services, user)
    sent = {"token": {"token": token}, "code": {"code": CODE}, "code in groups": {"code": " 1234 5678"}}[way]
    response = log_in(api, challenge, **sent)
    assert response.status_code == 200, response.get_json()
    pair = response.get_json()
    assert api.get("/users/me", pair["access_token"]).get_json()["username"] == "ada"
    (session,) = api.get("/users/me/sessions", pair["access_token"]).get_json()["items"]
    assert session["amr"] == ["email"]
    for again in ({"token": token}, {"code": CODE}):
        refused(api, challenge, **again)
    assert [event[:2] for event in events()][-4:-2] == [("user.created", user.id), ("session.started", user.id)]


def test_a_link_without_its_challenge_is_no_login_and_stays_good(api: Api, user: User, services: Services) -> None:
    challenge = ask(api)
    token = send(services, user)
    other = ask(api, "mallory@example.com")
    for wrong in (other, "", "x", challenge[:-1], challenge + "A"):
        refused(api, wrong, token=token)
        refused(api, wrong, code=CODE)
    assert log_in(api, challenge, token=token).status_code == 200


def test_five_wrong_codes_use_up_the_code_and_not_the_link(api: Api, user: User, services: Services) -> None:
    challenge = ask(api)
    token = send(services, user)
    for _ in range(MAX_GUESSES):
        refused(api, challenge, code=WRONG)
    refused(api, challenge, code=CODE)
    assert log_in(api, challenge, token=token).status_code == 200


def test_wrong_codes_are_counted_by_account_over_all_challenges_until_a_link_logs_in(
    app: Flask, api: Api, user: User, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconfigured(app, monkeypatch, login_failures_per_account=3, login_failures_max=6)
    for _ in range(3):
        challenge = ask(api)
        send(services, user)
        refused(api, challenge, code=WRONG)
    challenge = ask(api)
    token = send(services, user)
    with monkeypatch.context() as patched:
        # Nothing is asked that an unknown address would not cost.
        patched.setattr(throttles, "read_one", None)
        refused(api, challenge, code=CODE)
    assert log_in(api, challenge, token=token).status_code == 200
    challenge = ask(api)
    send(services, user)
    assert log_in(api, challenge, code=CODE).status_code == 200


def test_wrong_codes_make_later_ones_wait(
    app: Flask, api: Api, user: User, services: Services, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconfigured(app, monkeypatch, login_failures_per_account=3, login_failures_max=100)
    challenge = ask(api)
    send(services, user)
    for _ in range(3):
        refused(api, challenge, code=WRONG)
    refused(api, challenge, code=CODE)
    time.passes(seconds=2)
    assert log_in(api, challenge, code=CODE).status_code == 200


def test_wrong_codes_lock_no_password_out(
    app: Flask, api: Api, user: User, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconfigured(app, monkeypatch, login_failures_per_account=1, login_failures_max=2)
    challenge = ask(api)
    send(services, user)
    for _ in range(3):
        refused(api, challenge, code=WRONG)
    assert [(row.counted_id, row.scope) for row in db.session.scalars(select(Throttle))] == [(user.id, "login_code")]
    assert api.log_in("ada").status_code == 200


def test_a_code_for_nobody_is_counted_and_refused_alike(
    app: Flask, api: Api, user: User, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconfigured(app, monkeypatch, login_failures_per_account=1, login_failures_max=4)
    known = ask(api)
    send(services, user)
    for challenge in (known, ask(api, "nobody@example.com"), ask(api, "nobody@example.com")):
        for _ in range(3):
            refused(api, challenge, code=WRONG)
    assert [row.failures for row in db.session.scalars(select(Throttle))] == [1, 1, 1]


def test_the_fifth_try_may_be_the_right_one(api: Api, user: User, services: Services) -> None:
    challenge = ask(api)
    send(services, user)
    for _ in range(MAX_GUESSES - 1):
        refused(api, challenge, code=WRONG)
    assert log_in(api, challenge, code=CODE).status_code == 200


def test_tries_count_for_their_challenge_alone(api: Api, user: User, services: Services) -> None:
    first = ask(api)
    send(services, user)
    second = ask(api)
    send(services, user)
    for _ in range(MAX_GUESSES):
        refused(api, first, code=WRONG)
    assert log_in(api, second, code=CODE).status_code == 200


def test_a_mail_that_was_sent_twice_has_two_codes_and_each_guess_counts_for_both(
    api: Api, user: User, services: Services
) -> None:
    challenge = ask(api)
    send(services, user, "11111111")
    send(services, user, "22222222")
    for _ in range(MAX_GUESSES - 1):
        refused(api, challenge, code=WRONG)
    assert log_in(api, challenge, code="11111111").status_code == 200
    refused(api, challenge, code="22222222")


def test_a_code_of_nothing_matches_nothing(api: Api, user: User, services: Services) -> None:
    challenge = ask(api)
    with transaction():
        one_time_tokens.issue(user.id, TokenPurpose.LOGIN, sent_to=user.email)
    for code in ("", " ", "0"):
        refused(api, challenge, code=code)


@pytest.mark.parametrize("way", ["token", "code"])
def test_a_link_is_good_for_ten_minutes(api: Api, user: User, services: Services, time: Time, way: str) -> None:
    challenge = ask(api)
    sent = {"token": send(services, user)} if way == "token" else {"code": send(services, user) and CODE}
    time.passes(minutes=10)
    refused(api, challenge, **sent)


def test_either_the_token_or_the_code_must_be_sent(api: Api, user: User, services: Services) -> None:
    challenge = ask(api)
    token = send(services, user)
    for sent in ({}, {"token": token, "code": CODE}):
        problem(log_in(api, challenge, **sent), 422, "validation_failed")
    assert log_in(api, challenge, token=token).status_code == 200


def test_a_token_of_another_purpose_is_no_login(api: Api, user: User, services: Services) -> None:
    challenge = ask(api)
    send(services, user)
    stored = db.session.scalars(select(OneTimeToken)).one()
    for purpose in set(token_purposes) - {TokenPurpose.LOGIN}:
        with transaction():
            token = one_time_tokens.issue(
                user.id,
                purpose,
                sent_to=user.email,
                challenge_hash=stored.challenge_hash,
                code_hash=code_hash(stored.challenge_hash or b"", WRONG),
            )
        refused(api, challenge, token=token)
    refused(api, challenge, code=WRONG)
    assert log_in(api, challenge, code=CODE).status_code == 200


def test_a_disabled_account_and_one_with_another_address_are_refused(api: Api, user: User, services: Services) -> None:
    challenge = ask(api)
    token = send(services, user)
    with transaction():
        db.session.get_one(User, user.id).email = "moved@example.com"
    refused(api, challenge, token=token)
    with transaction():
        db.session.get_one(User, user.id).email = "ada@example.com"
    send(services, user)
    with transaction():
        db.session.get_one(User, user.id).status = "disabled"
        never = db.session.get_one(User, user.id)
        never.email_verified_at = never.first_verified_at = None
    refused(api, challenge, code=CODE)
    assert events()[-1] == ("login.refused", user.id, {}), "and nobody claims a disabled account"


def test_a_new_password_voids_the_link(api: Api, user: User, services: Services) -> None:
    challenge = ask(api)
    token = send(services, user)
    services.administration.set_password(user.id, "another long sentence", OPERATOR)
    refused(api, challenge, token=token)


# --- what it proves ---------------------------------------------------------------------------------------------------


def test_an_account_that_was_never_verified_is_taken_over(app: Flask, api: Api, services: Services) -> None:
    user = a_user(app, "mallory", email="victim@example.com")
    planted = a_session(app, user).access_token
    challenge = ask(api, "victim@example.com")
    token = send(services, user)
    pair = log_in(api, challenge, token=token).get_json()
    problem(api.get("/users/me", planted), 401, "token_revoked")
    problem(api.log_in("mallory"), 401, "invalid_credentials")
    account_json = api.get("/users/me", pair["access_token"]).get_json()
    assert account_json["email_verified_at"] is not None
    assert {"email.verified", "password.voided"} <= {event[0] for event in events()}


def test_a_verified_account_keeps_its_password_and_its_sessions(
    app: Flask, api: Api, user: User, services: Services
) -> None:
    session = a_session(app, user).access_token
    challenge = ask(api)
    send(services, user)
    assert log_in(api, challenge, code=CODE).status_code == 200
    assert api.get("/users/me", session).status_code == 200
    assert api.log_in("ada").status_code == 200


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_a_wrong_code_is_recorded_with_the_account_if_there_is_one(api: Api, user: User, services: Services) -> None:
    challenge = ask(api)
    send(services, user)
    refused(api, challenge, code=WRONG)
    refused(api, ask(api, "nobody@example.com"), code=WRONG)
    assert [event[:2] for event in events()][-2:] == [("login.refused", user.id), ("login.refused", None)]


@pytest.mark.parametrize("is_final", [True, False])
def test_what_a_hook_refuses_has_used_the_link_up_and_verified_the_address(
    app: Flask, services: Services, monkeypatch: pytest.MonkeyPatch, is_final: bool
) -> None:
    user = a_user(app, "grace")
    monkeypatch.setattr(PermissionDenied, "is_final", is_final)  # not so if another step is asked for

    def refuse(_app: object, **_: object) -> None:
        raise PermissionDenied

    made = services.email.login_links.request(user.email, GUEST)
    assert isinstance(made, LoginChallenge)
    token = send(services, user)
    with hooks.before_session_start.connected_to(refuse, sender=app), pytest.raises(PermissionDenied):
        services.email.login_links.log_in(made.challenge, GUEST, token=token)
    assert db.session.get_one(User, user.id).email_verified_at is not None
    assert one_time_tokens.find(token, TokenPurpose.LOGIN) is None
    recorded = [event for event in events() if event[0] == "login.refused"]
    assert recorded == ([("login.refused", user.id, {"code": "permission_denied"})] if is_final else [])


def test_no_session_starts_if_the_account_has_changed_meanwhile(app: Flask, user: User, services: Services) -> None:
    def rename(_app: object, **_: object) -> None:
        services.accounts.rename(user.id, username="countess", context=GUEST)

    made = services.email.login_links.request(user.email, GUEST)
    token = send(services, user)
    with hooks.before_session_start.connected_to(rename, sender=app):
        response = Api(app.test_client())(
            "PUT", "/auth/login-links", json={"challenge": made.challenge, "token": token}
        )
    problem(response, 400, "one_time_token_invalid")
    assert events()[-1] == ("login.refused", user.id, {"code": "one_time_token_invalid"})
