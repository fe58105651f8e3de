"""Roles that require a second factor: without one, their holders can do nothing but get one."""

from collections.abc import Iterator

import pytest
from flask import Flask

from authapp import AuthApp, create_app
from authapp.api.requirements import SecondFactorOfRole
from authapp.context import OPERATOR
from authapp.domain.services import Services
from authapp.extension import load_settings
from clocks import Time
from conftest import dispose
from databases import Databases
from factories import Api, a_session, a_user, problem
from factors import AuthenticatorApp, a_session_with_two_factors, an_app, challenge_of, second_step
from settings import KEYS, settings


@pytest.fixture(scope="module")
def strict_app(databases: Databases) -> Iterator[Flask]:
    with databases.migrated() as url:
        app = create_app(settings(database_url=url, second_factor_required_roles=frozenset({"admin"})))
        yield app
        dispose(app)


@pytest.fixture
def api(strict_app: Flask) -> Api:
    return Api(strict_app.test_client())


def test_an_administrator_without_a_second_factor_can_get_one_and_nothing_else(
    strict_app: Flask, api: Api, time: Time
) -> None:
    admin = a_user(strict_app, roles=["admin"])
    token = a_session(strict_app, admin).access_token
    for method, path in [("GET", "/ping"), ("GET", "/users/me"), ("GET", "/users"), ("GET", "/auth/verify")]:
        problem(api(method, path, token), 403, "second_factor_enrolment_required")
    assert api.get("/users/me/factors", token).status_code == 200
    phone = AuthenticatorApp.scanned(api.post("/users/me/totp", {}, token).get_json()["otpauth_uri"])
    assert api("PUT", "/users/me/totp", token, json={"code": phone.code()}).status_code == 200
    # The session that has added it has proven it.
    assert api.get("/users", token).status_code == 200
    time.passes(seconds=30)
    pair = a_session_with_two_factors(strict_app, api, admin, phone)
    assert api.get("/users", pair.access_token).status_code == 200


def test_nobody_is_sent_to_log_in_again_for_what_needs_a_second_factor_first(
    strict_app: Flask, api: Api, time: Time
) -> None:
    pair = a_session(strict_app, a_user(strict_app, roles=["admin"]))
    time.passes(seconds=301)
    stale = api.post("/auth/refresh", token=pair.refresh_token).get_json()["access_token"]
    for method, path in [("POST", "/users/me/recovery-codes"), ("DELETE", "/users/me/totp"), ("DELETE", "/users/me")]:
        problem(api(method, path, stale, json={}), 403, "second_factor_enrolment_required")


def test_a_passkey_will_do_and_logging_out_and_refreshing_always_work(strict_app: Flask, api: Api) -> None:
    pair = a_session(strict_app, a_user(strict_app, roles=["admin"]))
    assert api.post("/users/me/passkeys/challenges", {}, pair.access_token).status_code == 201
    refreshed = api.post("/auth/refresh", token=pair.refresh_token)
    assert refreshed.status_code == 200
    assert api.post("/auth/logout", token=refreshed.get_json()["access_token"]).status_code == 204


def test_a_session_from_before_the_factor_steps_up(strict_app: Flask, api: Api, time: Time) -> None:
    user = a_user(strict_app)
    kept = a_session(strict_app, user).access_token
    phone = an_app(strict_app, user)
    assert api.get("/ping", kept).status_code == 200
    with strict_app.app_context():
        Services.of(strict_app).administration.grant(user.id, "admin", OPERATOR)
    refused = api.get("/ping", kept)
    problem(refused, 401, "step_up_required")
    assert 'acr_values="mfa"' in refused.headers["WWW-Authenticate"]
    time.passes(seconds=30)
    stepped_up = api.post("/auth/step-ups", {"code": phone.code()}, kept)
    assert api.get("/ping", stepped_up.get_json()["access_token"]).status_code == 200


def test_others_need_none(strict_app: Flask, api: Api) -> None:
    user = a_user(strict_app)
    assert api.get("/ping", a_session(strict_app, user).access_token).status_code == 200


def test_recovery_codes_count_as_a_way_around_a_factor(strict_app: Flask, api: Api) -> None:
    admin = a_user(strict_app, roles=["admin"])
    phone = an_app(strict_app, admin)
    pair = second_step(api, challenge_of(api, admin), phone.recovery_codes[0], "recovery_code").get_json()
    assert api.get("/users", pair["access_token"]).status_code == 200


def test_the_documents_name_the_roles_and_the_refusals(api: Api) -> None:
    document = api.client.get("/openapi.json").get_json()
    operation = document["paths"]["/api/v1/ping"]["get"]
    examples = operation["responses"]["403"]["content"]["application/problem+json"]["examples"]
    assert "second_factor_enrolment_required" in examples


def test_without_the_setting_there_is_no_such_condition(app: Flask) -> None:
    assert AuthApp.of(app).requirements == []


def test_the_setting_is_a_list_with_commas(monkeypatch: pytest.MonkeyPatch, strict_app: Flask) -> None:
    for name, value in {
        "AUTHAPP_ENV": "development",
        "AUTHAPP_DATABASE_URL": "postgresql://localhost/authapp",
        "AUTHAPP_JWT_KEYS": KEYS,
        "AUTHAPP_SECOND_FACTOR_REQUIRED_ROLES": "admin, support,",
    }.items():
        monkeypatch.setenv(name, value)
    assert load_settings().second_factor_required_roles == {"admin", "support"}
    assert AuthApp.of(strict_app).requirements == [SecondFactorOfRole(frozenset({"admin"}))]
