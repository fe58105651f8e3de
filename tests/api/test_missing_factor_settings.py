"""Accounts have second factors, and the settings that they need are gone: a login is still completed, or answered."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask

from authapp import create_app
from authapp.domain.services import Services
from authapp.models import User
from authapp.models.role import ADMIN
from authenticator import add_passkey
from conftest import dispose
from databases import Databases
from factories import GUEST, Api, a_session, a_user, problem
from factors import an_app, challenge_of, second_step
from settings import settings

WITHOUT_PASSKEYS: dict[str, Any] = {"origins": None, "rp_id": None}
WITHOUT_APPS: dict[str, Any] = {"encryption_keys": None}
SHARED = {"/auth/second-factors", "/users/me/factors", "/users/me/recovery-codes", "/users/<uuid:user_id>/factors"}


@contextmanager
def an_application(url: str, **changes: Any) -> Iterator[Flask]:
    app = create_app(settings(database_url=url, **changes))
    try:
        yield app
    finally:
        dispose(app)


def a_passkey(app: Flask, user: User) -> list[str]:
    """Add a passkey, and return recovery codes."""
    add_passkey(Api(app.test_client()), a_session(app, user).access_token)
    with app.app_context():
        return Services.of(app).factors.recovery_code_renewal.renew(user.id, GUEST)


def a_phone(app: Flask, user: User) -> list[str]:
    return an_app(app, user).recovery_codes


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        (WITHOUT_APPS, {"/users/me/totp"}),
        (WITHOUT_PASSKEYS, {"/users/me/passkeys"}),
        ({**WITHOUT_APPS, **WITHOUT_PASSKEYS}, {"/users/me/totp", "/users/me/passkeys"}),
    ],
    ids=["passkeys", "apps", "neither"],
)
def test_only_what_adds_factors_is_missing(changes: dict[str, Any], missing: set[str]) -> None:
    app = create_app(settings(database_url="postgresql+psycopg2:///nowhere", **changes))
    routes = {rule.rule.removeprefix("/api/v1") for rule in app.url_map.iter_rules()}
    adding = {"/users/me/totp", "/users/me/passkeys"}
    assert routes & (SHARED | adding) == SHARED | adding - missing


@pytest.mark.parametrize(
    ("before", "after", "enrol", "offered"),
    [
        pytest.param(WITHOUT_APPS, WITHOUT_PASSKEYS, a_passkey, ["recovery_code"], id="passkeys"),
        pytest.param(WITHOUT_PASSKEYS, WITHOUT_APPS, a_phone, ["totp", "recovery_code"], id="apps"),
    ],
)
def test_a_recovery_code_completes_the_login_where_nobody_can_add_factors(
    databases: Databases,
    before: dict[str, Any],
    after: dict[str, Any],
    enrol: Callable[[Flask, User], list[str]],
    offered: list[str],
) -> None:
    with databases.migrated() as url:
        with an_application(url, **before) as app:
            user, admin = a_user(app), a_user(app, roles=[ADMIN])
            codes = enrol(app, user)
        with an_application(url, **{**before, **after}) as app:
            api = Api(app.test_client())
            assert problem(api.log_in(user.username), 401, "second_factor_required")["factors"] == offered
            if "totp" in offered:
                problem(second_step(api, challenge_of(api, user), "123456"), 503, "service_unavailable")
            pair = second_step(api, challenge_of(api, user), codes[0], "recovery_code").get_json()
            factors = api.get("/users/me/factors", pair["access_token"]).get_json()
            assert factors["recovery_codes"] == {"remaining": 9}
            assert api.post("/users/me/recovery-codes", {}, pair["access_token"]).status_code == 201
            as_admin = a_session(app, admin).access_token
            assert api("DELETE", f"/users/{user.id}/factors", as_admin).status_code == 204
            assert api.log_in(user.username).status_code == 200


def test_with_passkeys_alone_a_login_of_two_steps_can_be_completed(databases: Databases) -> None:
    with databases.migrated() as url, an_application(url, **WITHOUT_APPS) as app:
        api, user = Api(app.test_client()), a_user(app)
        token = a_session(app, user).access_token
        key = add_passkey(api, token)
        body = {"challenge": challenge_of(api, user), "factor": "passkey"}
        options = api.post("/auth/second-factors", body).get_json()
        assert api.post("/auth/second-factors", {**body, "credential": key.get(options)}).status_code == 200
        assert api.get("/users/me/factors", token).status_code == 200
        assert api.post("/users/me/recovery-codes", {}, token).status_code == 201
        assert api.post("/users/me/totp", {}, token).status_code == 404
