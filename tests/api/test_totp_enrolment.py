"""Adding an authenticator app to one's account, removing it, and what becomes of the sessions."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from authapp.config import RateLimit
from authapp.database.session import db
from authapp.domain.audit import EventType
from authapp.models import AuditEvent, OutgoingMail, Session, User
from clocks import Time
from conftest import reconfigured
from factories import PASSWORD, Api, a_session, a_user, problem
from factors import AuthenticatorApp, a_session_with_two_factors, an_app, challenge_of, second_step


@pytest.fixture
def user(app: Flask, time: Time) -> User:
    del time
    return a_user(app)


def added(api: Api, token: str, query: str = "") -> AuthenticatorApp:
    """Add an authenticator app, as its owner does."""
    response = api.post("/users/me/totp", {}, token)
    assert response.status_code == 201, response.text
    phone = AuthenticatorApp.scanned(response.get_json()["otpauth_uri"])
    confirmed = api("PUT", f"/users/me/totp{query}", token, json={"code": phone.code()})
    assert confirmed.status_code == 200, confirmed.text
    phone.recovery_codes = confirmed.get_json()["recovery_codes"]
    return phone


def events(app: Flask, event_type: str) -> list[AuditEvent]:
    with app.app_context():
        return list(db.session.scalars(select(AuditEvent).where(AuditEvent.type == event_type)))


def mails(app: Flask, user: User) -> list[tuple[str, dict[str, Any]]]:
    with app.app_context():
        rows = db.session.scalars(select(OutgoingMail).order_by(OutgoingMail.id)).all()
        return [(row.kind, row.details) for row in rows if row.user_id == user.id]


def test_an_app_is_added_with_its_first_code_and_that_counts_as_used(
    app: Flask, api: Api, user: User, time: Time
) -> None:
    token = a_session(app, user).access_token
    enrolment = api.post("/users/me/totp", {}, token)
    body = enrolment.get_json()
    assert body["secret"] in body["otpauth_uri"]
    assert body["qr_svg"].startswith("<svg")
    assert enrolment.headers["Cache-Control"] == "no-store"
    phone = added(api, token)
    assert len(set(phone.recovery_codes)) == 10
    shown = api.get("/users/me/factors", token).get_json()
    assert shown["password"] is True
    assert shown["totp"]["enabled_at"]
    assert shown["recovery_codes"] == {"remaining": 10}
    challenge = challenge_of(api, user)
    problem(second_step(api, challenge, phone.code()), 401, "second_factor_invalid")
    time.passes(seconds=30)
    assert second_step(api, challenge, phone.code()).status_code == 200


def test_without_factors_the_list_is_empty(app: Flask, api: Api, user: User) -> None:
    shown = api.get("/users/me/factors", a_session(app, user).access_token)
    none = {"totp": None, "passkeys": [], "recovery_codes": {"remaining": 0}, "providers": []}
    assert shown.get_json() == {"password": True, **none}


def test_an_added_app_ends_the_other_sessions_tells_the_owner_and_is_recorded(app: Flask, api: Api, user: User) -> None:
    current, other = a_session(app, user), a_session(app, user)
    added(api, current.access_token)
    assert api.get("/ping", current.access_token).status_code == 200
    problem(api.get("/ping", other.access_token), 401, "token_revoked")
    assert mails(app, user) == [("factor_added", {"factor": "totp"})]
    (event,) = events(app, EventType.FACTOR_ADDED)
    assert (event.actor_id, event.subject_id) == (user.id, user.id)
    assert event.details == {"factor": "totp", "sessions_ended": 1}


def test_the_other_sessions_stay_if_their_owner_wants_it(app: Flask, api: Api, user: User) -> None:
    current, other = a_session(app, user), a_session(app, user)
    added(api, current.access_token, "?sessions=keep")
    assert api.get("/ping", other.access_token).status_code == 200
    problem(
        api("PUT", "/users/me/totp?sessions=drop", current.access_token, json={"code": "1"}), 422, "validation_failed"
    )


def test_the_session_that_adds_an_app_has_two_factors_and_a_kept_one_has_not(
    app: Flask, api: Api, user: User, time: Time
) -> None:
    current, other = a_session(app, user), a_session(app, user)
    phone = added(api, current.access_token, "?sessions=keep")
    assert api.post("/users/me/recovery-codes", {}, current.access_token).status_code == 201
    refused = api.post("/users/me/recovery-codes", {}, other.access_token)
    problem(refused, 401, "step_up_required")
    assert 'acr_values="mfa"' in refused.headers["WWW-Authenticate"]
    time.passes(seconds=30)
    stepped_up = api.post("/auth/step-ups", {"code": phone.code()}, other.access_token)
    assert stepped_up.status_code == 200
    assert api.post("/users/me/recovery-codes", {}, stepped_up.get_json()["access_token"]).status_code == 201
    with app.app_context():
        assert sorted(db.session.scalars(select(Session.amr))) == [["pwd", "otp", "mfa"]] * 2


def test_a_step_up_takes_a_recovery_code_as_well(app: Flask, api: Api, user: User) -> None:
    phone = an_app(app, user)
    pair = second_step(api, challenge_of(api, user), phone.recovery_codes[0], "recovery_code").get_json()
    body = {"code": phone.recovery_codes[1]}
    assert api.post("/auth/step-ups", body, pair["access_token"]).status_code == 200
    again = api.post("/auth/step-ups", {"code": "x"}, pair["access_token"])
    problem(again, 401, "token_revoked")


@pytest.mark.parametrize("body", [{}, {"code": "1", "password": PASSWORD}, {"code": 1}, {"code": None}])
def test_a_step_up_has_one_field(app: Flask, api: Api, user: User, body: dict[str, Any]) -> None:
    problem(api.post("/auth/step-ups", body, a_session(app, user).access_token), 422, "validation_failed")


def test_an_account_has_one_app(app: Flask, api: Api, user: User) -> None:
    token = a_session(app, user).access_token
    added(api, token)
    problem(api.post("/users/me/totp", {}, token), 409, "factor_exists")


def test_a_wrong_first_code_adds_nothing(app: Flask, api: Api, user: User) -> None:
    token = a_session(app, user).access_token
    phone = AuthenticatorApp.scanned(api.post("/users/me/totp", {}, token).get_json()["otpauth_uri"])
    wrong = api("PUT", "/users/me/totp", token, json={"code": phone.wrong_code()})
    problem(wrong, 401, "second_factor_invalid")
    assert api.log_in(user.username).status_code == 200
    assert events(app, EventType.FACTOR_ADDED) == []


def test_a_secret_waits_ten_minutes_for_its_first_code(app: Flask, api: Api, user: User, time: Time) -> None:
    token = a_session(app, user).access_token
    phone = AuthenticatorApp.scanned(api.post("/users/me/totp", {}, token).get_json()["otpauth_uri"])
    time.passes(minutes=10, seconds=1)
    token = api.post("/auth/step-ups", {"password": PASSWORD}, token).get_json()["access_token"]
    late = api("PUT", "/users/me/totp", token, json={"code": phone.code()})
    problem(late, 401, "second_factor_invalid")


ROUTES = [
    ("POST", "/users/me/totp", {}),
    ("PUT", "/users/me/totp", {"code": "123456"}),
    ("DELETE", "/users/me/totp", None),
    ("POST", "/users/me/recovery-codes", {}),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_a_change_of_factors_needs_a_recent_login(
    app: Flask, api: Api, user: User, time: Time, method: str, path: str, body: Any
) -> None:
    phone = an_app(app, user)
    token = a_session_with_two_factors(app, api, user, phone).access_token
    time.passes(minutes=6)
    refused = api(method, path, token, **({} if body is None else {"json": body}))
    problem(refused, 401, "step_up_required")
    assert 'max_age="300"' in refused.headers["WWW-Authenticate"]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES[2:])
def test_removing_a_factor_and_new_recovery_codes_need_two_factors(
    app: Flask, api: Api, user: User, method: str, path: str, body: Any
) -> None:
    token = a_session(app, user).access_token
    an_app(app, user)
    with app.app_context():  # as a session that was kept
        refused = api(method, path, token, **({} if body is None else {"json": body}))
    problem(refused, 401, "step_up_required")
    assert 'acr_values="mfa"' in refused.headers["WWW-Authenticate"]


def test_a_removed_app_is_not_asked_for_and_its_recovery_codes_are_void(app: Flask, api: Api, user: User) -> None:
    phone = an_app(app, user)
    current = a_session_with_two_factors(app, api, user, phone)
    other = second_step(api, challenge_of(api, user), phone.recovery_codes[0], "recovery_code").get_json()
    assert api("DELETE", "/users/me/totp", current.access_token).status_code == 204
    problem(api.get("/ping", other["access_token"]), 401, "token_revoked")
    assert api.log_in(user.username).status_code == 200
    shown = api.get("/users/me/factors", current.access_token).get_json()
    assert (shown["totp"], shown["recovery_codes"]) == (None, {"remaining": 0})
    problem(api("DELETE", "/users/me/totp", current.access_token), 401, "step_up_required")
    assert mails(app, user)[-1] == ("factor_removed", {"factor": "totp"})
    (event,) = events(app, EventType.FACTOR_REMOVED)
    assert event.details == {"factor": "totp", "sessions_ended": 1}


def test_no_session_that_has_proven_the_last_second_factor_outlives_it(app: Flask, api: Api, user: User) -> None:
    phone = an_app(app, user)
    current = a_session_with_two_factors(app, api, user, phone)
    other = second_step(api, challenge_of(api, user), phone.recovery_codes[0], "recovery_code").get_json()
    assert api("DELETE", "/users/me/totp?sessions=keep", current.access_token).status_code == 204
    problem(api.get("/ping", other["access_token"]), 401, "token_revoked")
    with app.app_context():
        live = select(Session.amr).where(Session.user_id == user.id, Session.ended_at.is_(None))
        assert db.session.scalars(live).all() == [["pwd", "otp"]]


def test_new_recovery_codes_void_the_old_ones(app: Flask, api: Api, user: User) -> None:
    phone = an_app(app, user)
    token = a_session_with_two_factors(app, api, user, phone).access_token
    codes = api.post("/users/me/recovery-codes", {}, token).get_json()["recovery_codes"]
    old = second_step(api, challenge_of(api, user), phone.recovery_codes[0], "recovery_code")
    problem(old, 401, "second_factor_invalid")
    assert second_step(api, challenge_of(api, user), codes[0], "recovery_code").status_code == 200
    assert len(events(app, "recovery_codes.created")) == 2


def test_secrets_are_limited_since_each_costs_a_drawing(
    app: Flask, api: Api, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = a_session(app, user).access_token
    reconfigured(app, monkeypatch, rate_limits={"password": RateLimit(1, 60)})
    assert api.post("/users/me/totp", {}, token).status_code == 201
    problem(api.post("/users/me/totp", {}, token), 429, "too_many_requests")
