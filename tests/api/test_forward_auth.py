"""What a proxy gets that asks about each request: with the method, and for Envoy the path, of its client."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.test import TestResponse

from authapp.context import OPERATOR
from authapp.database.session import db
from authapp.domain.services import Services
from factories import Api, a_session, a_user, problem

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]
PATHS = ["/auth/verify/", "/auth/verify/orders/7", "/auth/verify//a//b/", "/auth/verify/auth/login", "/auth/verify/%ff"]
IDENTITY = [
    *("X-Auth-User-Id", "X-Auth-Username", "X-Auth-Roles", "X-Auth-Session-Id", "X-Auth-Email-Verified"),
    *("X-Auth-Amr", "X-Auth-Acr", "X-Auth-Time", "X-Auth-Api-Key-Id", "X-Auth-Scope"),
]


def identity(response: TestResponse) -> dict[str, str]:
    return {name: response.headers[name] for name in IDENTITY}


def assert_refused(response: TestResponse, method: str, code: str) -> None:
    assert not [name for name, _ in response.headers if name.startswith("X-Auth")]
    assert response.headers["X-Problem-Code"] == code
    if method == "HEAD":
        assert response.status_code == 401
    else:
        problem(response, 401, code)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_verified(app: Flask, api: Api, method: str) -> None:
    pair = a_session(app, a_user(app, "Ada"))
    answer = api(method, "/auth/verify", pair.access_token)
    assert (answer.status_code, answer.data, answer.headers["X-Auth-Username"]) == (204, b"", "Ada")
    assert "X-Problem-Code" not in answer.headers
    assert_refused(api(method, "/auth/verify"), method, "token_missing")
    assert_refused(api(method, "/auth/verify", pair.refresh_token), method, "token_invalid")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", PATHS)
def test_envoy_appends_the_path_of_its_client_and_needs_a_200(app: Flask, api: Api, method: str, path: str) -> None:
    pair = a_session(app, a_user(app, "Ada"))
    answer = api(method, path, pair.access_token)
    assert (answer.status_code, answer.data) == (200, b"")
    assert identity(answer) == identity(api.get("/auth/verify", pair.access_token))
    assert_refused(api(method, path), method, "token_missing")
    assert_refused(api(method, path, "not.a.token"), method, "token_invalid")
    assert api.post("/auth/logout", token=pair.access_token).status_code == 204
    assert_refused(api(method, path, pair.access_token), method, "token_revoked")


def test_a_body_of_the_client_is_not_read(app: Flask, api: Api) -> None:
    token = a_session(app, a_user(app)).access_token
    sent: dict[str, Any] = {"data": b"x" * 1_000, "content_type": "text/plain"}
    assert api("POST", "/auth/verify", token, **sent).status_code == 204


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("ada.b-c_d", "ada.b-c_d"),
        ("jürgen", "j%C3%BCrgen"),
        ("漢字", "%E6%BC%A2%E5%AD%97"),
        ("a b,c%d", "a%20b%2Cc%25d"),
        ("x\r\nX-Auth-Roles: admin", "x%0D%0AX-Auth-Roles:%20admin"),
    ],
)
def test_names_that_a_header_cannot_hold_are_percent_encoded(app: Flask, api: Api, name: str, header: str) -> None:
    """Our own names are ASCII; those of accounts and roles that were brought from elsewhere need not be."""
    token = a_session(app, a_user(app, "ada")).access_token
    with app.app_context():
        Services.of(app).roles.create("support", [], context=OPERATOR)
        Services.of(app).administration.grant("ada", "support", OPERATOR)
        db.session.execute(text("UPDATE users SET username = :name"), {"name": name})
        db.session.execute(text("UPDATE roles SET name = :name WHERE name = 'support'"), {"name": name})
        db.session.commit()
    seen = identity(api.get("/auth/verify", token))
    assert (seen["X-Auth-Username"], seen["X-Auth-Roles"]) == (header, header)
