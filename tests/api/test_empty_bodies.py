"""No bytes is no body, however it is framed; and a parameter that appears twice is not decided in silence."""

from typing import Any

import pytest
from flask import Flask

from authapp.database.session import db
from authapp.models import User
from factories import Api, a_session, a_user, problem

CHUNKED = {"Transfer-Encoding": "chunked"}
FRAMINGS: list[dict[str, str]] = [
    {},
    {"Content-Length": "0"},
    CHUNKED,
    {**CHUNKED, "Content-Type": "text/plain"},
    {**CHUNKED, "Content-Type": "application/x-www-form-urlencoded"},
]


def send_nothing(api: Api, method: str, path: str, token: str | None, headers: dict[str, str]) -> Any:
    # The server ends the input of a chunked body; the test client has to say so.
    return api(method, path, token, headers=headers, environ_base={"wsgi.input_terminated": True})


@pytest.mark.parametrize("headers", [*FRAMINGS, {**CHUNKED, "Content-Type": "application/json"}], ids=str)
def test_a_refresh_token_in_the_header_needs_no_body(app: Flask, api: Api, headers: dict[str, str]) -> None:
    token = a_session(app, a_user(app)).refresh_token
    assert send_nothing(api, "POST", "/auth/refresh", token, headers).status_code == 200
    problem(send_nothing(api, "POST", "/auth/refresh", None, headers), 401, "token_missing")


@pytest.mark.parametrize("headers", FRAMINGS, ids=str)
@pytest.mark.parametrize(("path", "field"), [("/auth/login", "username"), ("/auth/introspect", "token")])
def test_without_a_body_its_fields_are_missing(
    app: Flask, api: Api, path: str, field: str, headers: dict[str, str]
) -> None:
    token = a_session(app, a_user(app, roles=["admin"])).access_token
    body = problem(send_nothing(api, "POST", path, token, headers), 422, "validation_failed")
    assert f"#/{field}" in {error["pointer"] for error in body["errors"]}


@pytest.mark.parametrize("headers", FRAMINGS, ids=str)
def test_an_account_without_a_password_is_deleted_without_a_body(app: Flask, api: Api, headers: dict[str, str]) -> None:
    user = a_user(app)
    token = a_session(app, user).access_token
    with app.app_context():
        db.session.get_one(User, user.id).password_hash = None
        db.session.commit()
    assert send_nothing(api, "DELETE", "/users/me", token, headers).status_code == 204


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "/auth/logout?scope=local&scope=global", "scope"),
        ("POST", "/auth/logout?scope=local&scope=local", "scope"),
        ("GET", "/users?limit=1&limit=2", "limit"),
        ("GET", "/users?status=active&q=a&status=disabled", "status"),
        ("GET", "/audit-events?user_id=a&user_id=b", "user_id"),
        ("GET", "/users/me/activity?cursor=a&cursor=b", "cursor"),
        ("GET", "/users?unknown=1&unknown=2", "unknown"),
    ],
)
def test_a_query_parameter_may_appear_once(app: Flask, api: Api, method: str, path: str, name: str) -> None:
    token = a_session(app, a_user(app, roles=["admin"])).access_token
    body = problem(api(method, path, token), 422, "validation_failed")
    assert [error["pointer"] for error in body["errors"]] == [f"#/query/{name}"]
    assert api.get("/ping", token).status_code == 200, "nobody is logged out"


def test_many_repeated_parameters_get_a_short_answer(app: Flask, api: Api) -> None:
    token = a_session(app, a_user(app, roles=["admin"])).access_token
    query = "&".join(f"p{number}=1&p{number}=2" for number in range(200))
    body = problem(api.get(f"/users?{query}", token), 422, "validation_failed")
    assert len(body["errors"]) == 20
