"""POST /auth/step-ups: the user of a session is authenticated again, and the session goes on."""

from datetime import timedelta
from typing import Any

import jwt
import pytest
from flask import Flask
from sqlalchemy import false, select, update
from werkzeug.test import TestResponse

from authapp import CodeRules, FactorKind, SecondStep, clock, factor_kinds
from authapp.context import OPERATOR, RequestContext
from authapp.database.session import db
from authapp.domain.services import Services
from authapp.domain.sessions.authentication import AuthenticationResult
from authapp.domain.sessions.token_claims import token_claims
from authapp.models import AuditEvent, Session, User, UserStatus
from clocks import Time
from conftest import reconfigured
from factories import PASSWORD, Api, a_session, a_user, problem


def step_up(api: Api, token: str, password: str = PASSWORD) -> TestResponse:
    return api.post("/auth/step-ups", {"password": password}, token)


def claims(token: str) -> dict[str, Any]:
    decoded: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return decoded


def events(app: Flask, event_type: str) -> list[AuditEvent]:
    with app.app_context():
        return list(db.session.scalars(select(AuditEvent).where(AuditEvent.type == event_type)))


def test_a_step_up_answers_a_fresh_pair_of_the_same_session_with_a_new_time(app: Flask, api: Api, time: Time) -> None:
    old = a_session(app, a_user(app))
    time.passes(minutes=10)
    response = step_up(api, old.access_token)
    assert response.status_code == 200
    new = response.get_json()
    access, refresh = claims(new["access_token"]), claims(new["refresh_token"])
    assert access["sid"] == refresh["sid"] == claims(old.access_token)["sid"]
    assert access["fresh"] is True
    assert access["auth_time"] == refresh["auth_time"] == claims(old.access_token)["auth_time"] + 600
    assert access["amr"] == refresh["amr"] == ["pwd"]
    assert new.keys() == vars(old).keys()
    assert api("DELETE", "/users/me", new["access_token"], json={"password": PASSWORD}).status_code == 204


def test_the_old_access_token_is_revoked_and_the_new_one_is_not(app: Flask, api: Api) -> None:
    old = a_session(app, a_user(app))
    new = step_up(api, old.access_token).get_json()
    problem(api.get("/ping", old.access_token), 401, "token_revoked")
    problem(step_up(api, old.access_token), 401, "token_revoked")
    assert api.get("/ping", new["access_token"]).status_code == 200


def test_a_lost_answer_is_no_theft_and_the_old_refresh_token_gets_the_same_successor(app: Flask, api: Api) -> None:
    old = a_session(app, a_user(app))
    lost = step_up(api, old.access_token).get_json()
    found = api.post("/auth/refresh", token=old.refresh_token).get_json()
    assert claims(found["refresh_token"]) == claims(lost["refresh_token"])
    assert claims(found["access_token"])["auth_time"] == claims(lost["access_token"])["auth_time"]
    assert claims(found["access_token"])["fresh"] is False
    assert api.get("/ping", lost["access_token"]).status_code == 200
    assert api.post("/auth/refresh", token=lost["refresh_token"]).status_code == 200
    problem(api.post("/auth/refresh", token=old.refresh_token), 401, "refresh_token_reused")


def test_a_step_up_does_not_make_the_session_longer(app: Flask, api: Api, time: Time) -> None:
    pair = a_session(app, a_user(app))
    for _ in range(3):
        time.passes(days=29)
        refreshed = api.post("/auth/refresh", token=pair.refresh_token).get_json()
        pair = type(pair)(**refreshed)
    stepped_up = step_up(api, pair.access_token).get_json()
    assert stepped_up["refresh_expires_in"] == 3 * 86_400


def test_the_methods_of_a_session_are_those_of_its_login_and_of_its_step_ups(app: Flask, api: Api) -> None:
    user = a_user(app)
    by_mail = AuthenticationResult(user.id, ("email",), auth_time=clock.now(), account_version=user.updated_at)
    with app.app_context():
        pair = Services.of(app).sessions.start(by_mail, RequestContext(None, None, None, None))
    assert pair is not None
    stepped_up = step_up(api, pair.access_token).get_json()
    assert claims(stepped_up["access_token"])["amr"] == ["email", "pwd"]
    assert claims(step_up(api, stepped_up["access_token"]).get_json()["access_token"])["amr"] == ["email", "pwd"]


def test_a_step_up_is_recorded_with_its_methods(app: Flask, api: Api) -> None:
    user = a_user(app)
    step_up(api, a_session(app, user).access_token)
    (event,) = events(app, "session.stepped_up")
    assert (event.actor_id, event.subject_id, event.details) == (user.id, user.id, {"amr": ["pwd"]})
    assert event.session_id is not None


def test_a_wrong_password_is_refused_and_counted_and_the_tokens_stay_good(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconfigured(app, monkeypatch, login_failures_per_account=2)
    pair = a_session(app, a_user(app))
    for _ in range(2):
        problem(step_up(api, pair.access_token, "wrong"), 403, "wrong_password")
    problem(step_up(api, pair.access_token), 429, "too_many_requests")
    assert [event.details["failures"] for event in events(app, "password.refused")] == [1, 2]
    assert events(app, "session.stepped_up") == []
    assert api.get("/ping", pair.access_token).status_code == 200
    assert api.post("/auth/refresh", token=pair.refresh_token).status_code == 200


def test_an_account_without_a_password_cannot_be_stepped_up_with_one(app: Flask, api: Api) -> None:
    user = a_user(app, password=None)
    by_mail = AuthenticationResult(user.id, ("email",), auth_time=clock.now(), account_version=user.updated_at)
    with app.app_context():
        pair = Services.of(app).sessions.start(by_mail, RequestContext(None, None, None, None))
    assert pair is not None
    body = problem(step_up(api, pair.access_token), 403, "wrong_password")
    assert body["detail"] == "This account has no password."


@pytest.mark.parametrize("body", [{}, {"password": 7}, {"code": 7}, {"password": PASSWORD, "code": "123456"}])
def test_a_body_without_exactly_one_known_proof_is_refused(app: Flask, api: Api, body: dict[str, Any]) -> None:
    problem(api.post("/auth/step-ups", body, a_session(app, a_user(app)).access_token), 422, "validation_failed")


def test_a_refresh_token_is_no_access_token(app: Flask, api: Api) -> None:
    problem(step_up(api, a_session(app, a_user(app)).refresh_token), 401, "token_invalid")


def test_a_session_of_version_0_1_can_be_stepped_up(app: Flask, api: Api) -> None:
    pair = a_session(app, a_user(app))
    with app.app_context():
        session = db.session.scalars(select(Session)).one()
        session.auth_time = session.valid_from = None
        db.session.commit()
    new = step_up(api, pair.access_token).get_json()
    assert api.get("/ping", new["access_token"]).status_code == 200


def test_a_claim_that_cannot_be_made_leaves_the_tokens_as_they_were(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = a_session(app, a_user(app))
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
    token_claims.register("tests:broken", lambda _user, _session: object())
    try:
        problem(step_up(api, pair.access_token), 500, "internal_error")
    finally:
        token_claims.unregister("tests:broken")
    assert api.get("/ping", pair.access_token).status_code == 200


@pytest.mark.parametrize(
    ("meanwhile", "code"),
    [
        ("logout", "token_revoked"),
        ("logout everywhere", "token_revoked"),
        ("ended by another session", "token_revoked"),
        ("ended with all others", "token_revoked"),
        ("disabled", "token_revoked"),
        ("disabled with SQL", "token_revoked"),
        ("revoked", "token_revoked"),
        ("stepped up", "token_revoked"),
        ("renamed", "step_up_required"),
        ("new password", "step_up_required"),
    ],
)
def test_what_happens_while_the_password_is_hashed_is_seen(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch, meanwhile: str, code: str
) -> None:
    user = a_user(app)
    pair, services = a_session(app, user), Services.of(app)
    token, other, elsewhere = pair.access_token, app.test_client(), a_session(app, user).access_token
    acts = {
        "logout": lambda api: api.post("/auth/logout", token=token),
        "logout everywhere": lambda api: api.post("/auth/logout?scope=global", token=token),
        "ended by another session": lambda api: api("DELETE", f"/users/me/sessions/{claims(token)['sid']}", elsewhere),
        "ended with all others": lambda api: api.post("/auth/logout?scope=others", token=elsewhere),
        "disabled with SQL": lambda _: db.session.execute(update(User).values(status=UserStatus.DISABLED)),
        "disabled": lambda _: services.administration.disable(user.username, OPERATOR),
        "revoked": lambda api: api.post("/auth/revoke", token=token, data={"token": token}),
        "stepped up": lambda api: step_up(api, token),
        "renamed": lambda api: api("PATCH", "/users/me", token, json={"username": f"{user.username}-2"}),
        "new password": lambda api: api(
            "PUT", "/users/me/password", token, json={"current_password": PASSWORD, "new_password": PASSWORD + "!"}
        ),
    }
    verify = services.password_verifier.reauthenticate

    def slow(*arguments: Any) -> AuthenticationResult:
        result = verify(*arguments)
        monkeypatch.setitem(services.step_ups._methods, "password", verify)  # type: ignore[index]
        acts[meanwhile](Api(other))
        db.session.commit()
        return result

    monkeypatch.setitem(services.step_ups._methods, "password", slow)  # type: ignore[index]
    problem(step_up(api, token), 401, code)
    if meanwhile.startswith(("logout", "ended", "disabled")):
        problem(api.post("/auth/refresh", token=pair.refresh_token), 401, "token_revoked")
    else:
        assert api.post("/auth/refresh", token=pair.refresh_token).status_code == 200


def test_a_refresh_while_the_password_is_hashed_has_replaced_the_refresh_token_for_both(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, services = a_session(app, a_user(app)), Services.of(app)
    verify, other, refreshed = services.password_verifier.reauthenticate, Api(app.test_client()), {}

    def slow(*arguments: Any) -> AuthenticationResult:
        refreshed.update(other.post("/auth/refresh", token=old.refresh_token).get_json())
        return verify(*arguments)

    monkeypatch.setitem(services.step_ups._methods, "password", slow)  # type: ignore[index]
    stepped_up = step_up(api, old.access_token).get_json()
    assert claims(stepped_up["refresh_token"])["jti"] == claims(refreshed["refresh_token"])["jti"]
    for pair in (stepped_up, refreshed):  # in the order in which a predecessor would be taken for a theft
        assert api.post("/auth/refresh", token=pair["refresh_token"]).status_code == 200


def test_a_kind_that_was_registered_too_late_steps_nothing_up(app: Flask, api: Api) -> None:
    token = a_session(app, a_user(app)).access_token
    step = SecondStep(prover=lambda _tools: None, codes=CodeRules())
    factor_kinds.register("late", FactorKind(state=false(), second_step=step, delete=lambda _user_id, _since: 0))
    try:
        body = {"factor": "late", "code": "123456"}
        problem(api.post("/auth/step-ups", body, token), 401, "second_factor_invalid")
    finally:
        factor_kinds.unregister("late")


def test_another_access_token_of_the_session_becomes_recent_as_well(app: Flask, api: Api, time: Time) -> None:
    pair = a_session(app, a_user(app))
    other = api.post("/auth/refresh", token=pair.refresh_token).get_json()["access_token"]
    time.passes(minutes=10)
    step_up(api, pair.access_token)
    with app.app_context():
        session = db.session.scalars(select(Session)).one()
        assert session.auth_time is not None
        assert clock.now() - session.auth_time < timedelta(seconds=1)
    assert api.get("/ping", other).status_code == 200
