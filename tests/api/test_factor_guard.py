"""Every route that changes factors, protects them or adds a credential, and what a thief of a session meets there."""

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from api.access_table import TABLE
from authapp.config import RateLimit
from authapp.context import OPERATOR
from authapp.domain.passwords.verifier import ConfirmedUser, PasswordVerifier
from authapp.domain.services import Services
from authapp.models import User
from authapp.models.role import ADMIN
from authapp.security import base64url
from authenticator import RP_ID, Authenticator
from clocks import Time
from conftest import reconfigured
from factories import PASSWORD, Api, a_session, a_user, problem
from factors import a_session_with_two_factors, an_app

UNGUARDED = {
    "PATCH  /api/v1/users/me": "a username opens nothing",
    "DELETE /api/v1/users/me/email": "leaves the account as it is",
    "DELETE /api/v1/users/me/sessions/<uuid:session_id>": "ends what a thief may have",
}
"""Changes of one's own account that the guard of factors is not for, with the reason."""

GUARDED = [
    route
    for route in TABLE
    if not route.startswith("GET") and re.search("/users/(me(/|$)|.*/factors)", route) and route not in UNGUARDED
]

RENAMING = "PATCH  /api/v1/users/me/passkeys/<uuid:passkey_id>"
PASSWORD_CHANGE, DELETION = "PUT    /api/v1/users/me/password", "DELETE /api/v1/users/me"

KEY_DELETION = "DELETE /api/v1/users/me/api-keys/<uuid:key_id>"

LET_IN = {
    (RENAMING, "stale"),
    (RENAMING, "one factor"),
    (KEY_DELETION, "stale"),
    (KEY_DELETION, "one factor"),
    # These take the password instead of a recent login.
    (PASSWORD_CHANGE, "stale"),
    (DELETION, "stale"),
}
"""What the contract lets in."""

UNLIMITED = {
    "POST   /api/v1/users/me/passkeys/challenges": "stores nothing, and mails nobody",
    "POST   /api/v1/users/me/providers/<name>": "likewise",
    RENAMING: "mails nobody",
    "POST   /api/v1/users/me/api-keys": "mails nobody; an account has a maximum",
    KEY_DELETION: "mails nobody",
    "DELETE /api/v1/users/<uuid:user_id>/factors": "the second one finds nothing to remove",
}
"""Changes that may be repeated at any speed, with the reason."""

STEP_UP, REVOKED = "step_up_required", "token_revoked"
REFUSED = {"stale": STEP_UP, "one factor": STEP_UP, "ended meanwhile": REVOKED, "disabled meanwhile": REVOKED}


def credential(user: User) -> dict[str, Any]:
    options = {"challenge": "AAAA", "user": {"id": base64url.encode(user.id.bytes)}, "rp": {"id": RP_ID}}
    return {"challenge_id": "AAAA", "name": "x", "credential": Authenticator().create(options)}


BODIES: dict[str, Callable[[User], dict[str, Any]]] = {
    "PUT    /api/v1/users/me/totp": lambda _: {"code": "287082"},
    "POST   /api/v1/users/me/passkeys": credential,
    "POST   /api/v1/users/me/api-keys": lambda _: {"name": "x"},
    "POST   /api/v1/users/me/providers/<name>": lambda _: {"redirect_uri": "https://elsewhere.example"},
    "PUT    /api/v1/users/me/providers/<name>": lambda _: {"flow": "AAAA", "state": "x", "code": "x"},
    RENAMING: lambda _: {"name": "x"},
    "PUT    /api/v1/users/me/email": lambda _: {"email": "new@example.com", "password": PASSWORD},
    PASSWORD_CHANGE: lambda _: {"current_password": PASSWORD, "new_password": "another long password"},
    DELETION: lambda _: {"password": PASSWORD},
}


@pytest.fixture
def user(app: Flask, time: Time) -> User:
    del time
    a_user(app, roles=[ADMIN])  # so that the other one can be disabled
    return a_user(app, roles=[ADMIN])


def test_what_is_left_out_is_there() -> None:
    assert {*UNGUARDED, *UNLIMITED, *BODIES, *(route for route, _ in LET_IN)} <= TABLE.keys()


@pytest.mark.parametrize("route", [route for route in GUARDED if route not in UNLIMITED])
def test_a_change_that_mails_the_owner_is_limited_by_address(
    app: Flask, api: Api, user: User, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    token = a_session_with_two_factors(app, api, user, an_app(app, user)).access_token
    limits = ("password", "mail")
    reconfigured(app, monkeypatch, rate_limits=dict.fromkeys(limits, RateLimit(1, 60)))
    with app.app_context():
        for limit in limits:
            Services.of(app).rate_limits.charge(limit, "127.0.0.1")
    problem(send(app, api, user, route, token), 429, "too_many_requests")


@pytest.mark.parametrize("state", ["none", *REFUSED])
@pytest.mark.parametrize("route", GUARDED)
def test_a_change_of_factors_asks_for_a_live_and_recent_session_with_two_factors(
    app: Flask, api: Api, user: User, time: Time, monkeypatch: pytest.MonkeyPatch, route: str, state: str
) -> None:
    before = a_session(app, user).access_token
    token = a_session_with_two_factors(app, api, user, an_app(app, user)).access_token
    administration = Services.of(app).administration
    if state == "one factor":
        token = before
    elif state == "stale":
        time.passes(minutes=10)
    elif state == "ended meanwhile":
        after_the_guard(app, monkeypatch, lambda: administration.end_sessions(user.id, OPERATOR))
    elif state == "disabled meanwhile":
        after_the_guard(app, monkeypatch, lambda: administration.disable(user.id, OPERATOR))
    expected = REFUSED.get(state) if (route, state) not in LET_IN else None
    assert refusal(send(app, api, user, route, token)) == expected


def after_the_guard(app: Flask, monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> None:
    """Have something change between the guard of a request and its view."""

    def run() -> None:
        change()

    monkeypatch.setitem(app.before_request_funcs, None, [*app.before_request_funcs[None], run])


def send(app: Flask, api: Api, user: User, route: str, token: str) -> TestResponse:
    method, rule = route.split()
    path = rule.replace("<uuid:user_id>", str(a_user(app).id))
    path = re.sub("<uuid:(passkey|key)_id>", str(uuid4()), path)
    path = path.replace("<name>", "example")
    body = BODIES.get(route, lambda _: {})(user)
    return api(method, path.removeprefix("/api/v1"), token, json=body if method != "DELETE" or body else None)


def refusal(response: TestResponse) -> str | None:
    """Return with which of the codes in ``REFUSED`` a request was refused, if it was."""
    assert response.status_code < 500, response.text
    code = (response.get_json(silent=True) or {}).get("code")
    return code if code in REFUSED.values() else None


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/users/me/email", {"email": "countess@example.org", "password": PASSWORD}),
        ("PUT", "/users/me/password", {"current_password": PASSWORD, "new_password": "another long sentence"}),
        ("DELETE", "/users/me", {"password": PASSWORD}),
    ],
    ids=["address", "password", "account"],
)
def test_a_factor_that_is_added_while_the_password_is_hashed_is_asked_for(
    app: Flask,
    api: Api,
    token: str,
    user: User,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    body: dict[str, str],
) -> None:
    def confirm(verifier: PasswordVerifier, *arguments: Any, **options: Any) -> ConfirmedUser:
        confirmed = confirm_alone(verifier, *arguments, **options)
        an_app(app, user)
        return confirmed

    confirm_alone = PasswordVerifier.confirm
    monkeypatch.setattr(PasswordVerifier, "confirm", confirm)
    problem(api(method, path, token, json=body), 401, "step_up_required")
