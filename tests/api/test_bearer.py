"""Where a token is looked for (RFC 6750), and what is not a token."""

import pytest
from flask import Flask
from flask_jwt_extended import current_user, get_jwt, get_jwt_identity, jwt_required

from factories import Api, a_session, a_user, problem


@pytest.fixture
def token(app: Flask) -> str:
    return a_session(app, a_user(app)).access_token


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_scheme_is_case_insensitive(api: Api, token: str, scheme: str) -> None:
    assert api.get("/ping", headers={"Authorization": f"{scheme} {token}"}).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "",
        " ",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Token x",
        "{token}",
        "Basic {token}",
        "Bearer\xa0{token}",
        "Bearer\x85{token}",
    ],
)
def test_no_bearer_token_is_token_missing(api: Api, token: str, header: str) -> None:
    response = api.get("/ping", headers={"Authorization": header.format(token=token)})
    problem(response, 401, "token_missing")
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="authapp"'


@pytest.mark.parametrize(
    "header",
    [
        "Bearer {token} {token}",
        "Bearer {token},Bearer {token}",
        "Bearer {token}, Bearer {token}",
        "Bearer {token},x",
        "Bearer x,{token}",
        'Bearer "{token}"',
        "Bearer {token}\xe9",
        "Bearer x",
        "Bearer ..",
        "Bearer a b",
        "Bearer \xa0{token}",
    ],
)
def test_what_is_not_exactly_one_token_is_token_invalid(api: Api, token: str, header: str) -> None:
    response = api.get("/ping", headers={"Authorization": header.format(token=token)})
    problem(response, 401, "token_invalid")
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="authapp", error="invalid_token"'


def test_a_token_anywhere_else_is_not_a_token(api: Api, token: str) -> None:
    api.client.set_cookie("access_token_cookie", token)
    response = api.get(f"/ping?jwt={token}&access_token={token}", json={"access_token": token})
    problem(response, 401, "token_missing")


def test_two_headers_are_not_a_token(api: Api, token: str) -> None:
    headers = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
    problem(api.client.get("/api/v1/ping", headers=headers), 401, "token_invalid")


def test_a_refresh_token_is_no_access_token_and_the_reverse(app: Flask, api: Api) -> None:
    pair = a_session(app, a_user(app))
    problem(api.get("/ping", pair.refresh_token), 401, "token_invalid")
    problem(api.post("/auth/logout", token=pair.refresh_token), 401, "token_invalid")
    problem(api.post("/auth/refresh", token=pair.access_token), 401, "token_invalid")
    assert api.get("/ping", pair.access_token).status_code == 200


def test_the_librarys_own_decorators_work_behind_the_guard(app: Flask) -> None:
    pair = a_session(app, user := a_user(app))
    headers = {"Authorization": f"Bearer {pair.access_token}"}
    with app.test_request_context("/", headers=headers):
        seen = jwt_required(fresh=True)(lambda: (get_jwt_identity(), get_jwt()["type"], current_user.username))()
        assert seen == (str(user.id), "access", user.username)
