"""The refresh token in a cookie: who gets it there, and whose request may use it."""

from collections.abc import Iterator
from http.cookies import Morsel, SimpleCookie

import jwt
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from api.test_refresh import later
from authapp.domain.sessions.token_pairs import TokenPair
from conftest import created, rolled_back
from databases import Databases
from factories import PASSWORD, Api, a_session, a_user, problem
from factors import an_app, challenge_of

APP, ISSUER = "https://app.example.com", "https://auth.example.com"
ASK = {"X-Authapp-Cookie": "1"}
BROWSER = {**ASK, "Origin": APP}
NAME = "__Host-authapp-refresh"
HOSTILE = [
    "https://evil.example",
    "https://blog.example.com",
    "null",
    "",
    "http://auth.example.com",
    f"{APP}.evil.test",
]


@pytest.fixture(scope="module")
def with_cookie(databases: Databases) -> Iterator[Flask]:
    yield from created(databases, cors_origins=(APP,), refresh_cookie="on")


@pytest.fixture
def app(with_cookie: Flask) -> Iterator[Flask]:
    with rolled_back(with_cookie):
        yield with_cookie


@pytest.fixture
def api(app: Flask) -> Api:
    return Api(app.test_client(use_cookies=False))


@pytest.fixture
def pair(app: Flask) -> TokenPair:
    return a_session(app, a_user(app, "ada"))


def holding(token: str, **headers: str) -> dict[str, str]:
    return {"Cookie": f"other=1; {NAME}={token}", **headers}


def cookie_in(response: TestResponse) -> "Morsel[str] | None":
    headers = response.headers.getlist("Set-Cookie")
    assert len(headers) < 2
    return SimpleCookie(headers[0])[NAME] if headers else None


def sid(token: str) -> object:
    return jwt.decode(token, options={"verify_signature": False})["sid"]


def assert_in_cookie(response: TestResponse) -> str:
    assert response.status_code == 200, response.get_json()
    assert response.get_json().keys() == {"access_token", "token_type", "expires_in", "refresh_expires_in"}
    cookie = cookie_in(response)
    assert cookie is not None
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, True, "Strict", "/")
    assert cookie["domain"] == ""
    assert cookie["max-age"] == str(response.get_json()["refresh_expires_in"])
    return cookie.value


def test_a_login_that_asks_for_it_gets_the_refresh_token_in_the_cookie_alone(app: Flask, api: Api) -> None:
    a_user(app, "ada")
    response = api.post("/auth/login", {"username": "ada", "password": PASSWORD}, headers=BROWSER)
    assert sid(assert_in_cookie(response)) == sid(response.get_json()["access_token"])


@pytest.mark.parametrize("headers", [{}, {"X-Authapp-Cookie": "0"}, {"X-Authapp-Cookie": ""}, {"Origin": APP}])
def test_another_login_gets_it_in_the_body_alone(app: Flask, api: Api, headers: dict[str, str]) -> None:
    a_user(app, "ada")
    response = api.post("/auth/login", {"username": "ada", "password": PASSWORD}, headers=headers)
    assert "refresh_token" in response.get_json()
    assert cookie_in(response) is None


def test_a_refusal_sets_no_cookie(api: Api) -> None:
    response = api.post("/auth/login", {"username": "nobody", "password": "wrong"}, headers=BROWSER)
    assert (response.status_code, cookie_in(response)) == (401, None)


def test_a_step_up_replaces_it(api: Api, pair: TokenPair) -> None:
    token = assert_in_cookie(api.post("/auth/step-ups", {"password": PASSWORD}, pair.access_token, headers=BROWSER))
    assert_in_cookie(api.post("/auth/refresh", headers=holding(token, **BROWSER)))


@pytest.mark.parametrize("origin", [APP, ISSUER])
def test_a_page_that_may_use_it_refreshes_again_and_again(api: Api, pair: TokenPair, origin: str) -> None:
    token = pair.refresh_token
    for _ in range(3):
        response = api.post("/auth/refresh", headers=holding(token, **ASK, Origin=origin))
        token = assert_in_cookie(response)
        assert api.get("/ping", response.get_json()["access_token"]).status_code == 200


def test_tabs_that_refresh_at_once_get_the_same_successor(api: Api, pair: TokenPair) -> None:
    answers = [api.post("/auth/refresh", headers=holding(pair.refresh_token, **BROWSER)) for _ in range(3)]
    successors = {jwt.decode(assert_in_cookie(each), options={"verify_signature": False})["jti"] for each in answers}
    assert len(successors) == 1


def jti(token: str) -> object:
    return jwt.decode(token, options={"verify_signature": False})["jti"]


def test_a_tab_that_comes_late_stays_logged_in_though_others_have_sent_the_new_cookie(
    api: Api, pair: TokenPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    successor = assert_in_cookie(api.post("/auth/refresh", headers=holding(pair.refresh_token, **BROWSER)))
    assert jti(successor) != jti(pair.refresh_token)
    for late in (successor, successor, pair.refresh_token, successor):
        response = api.post("/auth/refresh", headers=holding(late, **BROWSER))
        assert jti(assert_in_cookie(response)) == jti(successor)
        assert api.get("/ping", response.get_json()["access_token"]).status_code == 200

    later(monkeypatch, seconds=11)
    third = assert_in_cookie(api.post("/auth/refresh", headers=holding(successor, **BROWSER)))
    assert jti(third) != jti(successor)
    response = api.post("/auth/refresh", headers=holding(pair.refresh_token, **BROWSER))
    problem(response, 401, "refresh_token_reused")
    problem(api.post("/auth/refresh", headers=holding(third, **BROWSER)), 401, "token_revoked")


@pytest.mark.parametrize("first", ["a refresh", "a step-up"])
def test_a_tab_that_comes_late_stays_logged_in_though_another_has_stepped_up(
    api: Api, pair: TokenPair, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    access = pair.access_token
    if first == "a refresh":
        refreshed = api.post("/auth/refresh", headers=holding(pair.refresh_token, **BROWSER))
        access = refreshed.get_json()["access_token"]
    stepped_up = api.post("/auth/step-ups", {"password": PASSWORD}, access, headers=BROWSER)
    successor = assert_in_cookie(stepped_up)
    problem(api.get("/ping", access), 401, "token_revoked")
    for late in (pair.refresh_token, successor):
        response = api.post("/auth/refresh", headers=holding(late, **BROWSER))
        assert jti(assert_in_cookie(response)) == jti(successor)
    assert api.get("/ping", stepped_up.get_json()["access_token"]).status_code == 200

    later(monkeypatch, seconds=11)
    access = response.get_json()["access_token"]
    third = assert_in_cookie(api.post("/auth/step-ups", {"password": PASSWORD}, access, headers=BROWSER))
    assert jti(third) != jti(successor)


def test_a_step_up_replaces_a_token_in_the_body_however_new_it_is(api: Api, pair: TokenPair) -> None:
    body = api.post("/auth/refresh", {"refresh_token": pair.refresh_token}).get_json()
    stepped_up = api.post("/auth/step-ups", {"password": PASSWORD}, body["access_token"]).get_json()
    assert jti(stepped_up["refresh_token"]) != jti(body["refresh_token"])


def test_a_token_in_the_body_is_exchanged_each_time_with_the_cookie_switched_on(api: Api, pair: TokenPair) -> None:
    tokens = [pair.refresh_token]
    for _ in range(2):
        tokens.append(api.post("/auth/refresh", {"refresh_token": tokens[-1]}).get_json()["refresh_token"])
    assert len(set(map(jti, tokens))) == 3
    problem(api.post("/auth/refresh", {"refresh_token": tokens[0]}), 401, "refresh_token_reused")


@pytest.mark.parametrize("path", ["/auth/refresh", "/auth/logout"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": APP},
        {"Origin": APP, "X-Authapp-Cookie": "true"},
        dict(ASK),
        *({"Origin": origin, **ASK} for origin in HOSTILE),
        {"Origin": "https://evil.example", **ASK, "Authorization": "Bearer x"},
        {"Referer": f"{APP}/", **ASK},
    ],
    ids=str,
)
def test_a_request_of_any_other_page_is_refused_and_changes_nothing(
    api: Api, pair: TokenPair, path: str, headers: dict[str, str]
) -> None:
    response = api.post(path, headers=holding(pair.refresh_token, **headers))
    problem(response, 403, "origin_not_allowed")
    assert cookie_in(response) is None
    assert api.get("/ping", pair.access_token).status_code == 200
    refreshed = api.post("/auth/refresh", {"refresh_token": pair.refresh_token}).get_json()["refresh_token"]
    assert api.post("/auth/refresh", {"refresh_token": refreshed}).status_code == 200


def test_a_token_in_the_body_or_the_header_needs_no_cookie_and_no_origin(app: Flask, api: Api, pair: TokenPair) -> None:
    other = a_session(app, a_user(app))
    cookie = holding(pair.refresh_token)
    by_body = api.post("/auth/refresh", {"refresh_token": other.refresh_token}, headers=cookie).get_json()
    assert sid(by_body["refresh_token"]) == sid(other.refresh_token)
    by_header = api.post("/auth/refresh", token=by_body["refresh_token"], headers=cookie).get_json()
    assert sid(by_header["refresh_token"]) == sid(other.refresh_token)
    asked = api.post("/auth/refresh", {"refresh_token": by_header["refresh_token"]}, headers={**cookie, **BROWSER})
    assert sid(assert_in_cookie(asked)) == sid(other.refresh_token), "the body wins, and moves into the cookie"


@pytest.mark.parametrize("bearer", ["live", "expired", "damaged"])
def test_the_cookie_that_is_asked_for_counts_whatever_the_header_holds(
    app: Flask, api: Api, pair: TokenPair, bearer: str
) -> None:
    access = {"live": a_session(app, a_user(app)).access_token, "damaged": "x"}.get(bearer, pair.access_token[:-8])
    headers = holding(pair.refresh_token, **BROWSER)
    token = assert_in_cookie(api.post("/auth/refresh", token=access, headers=headers))
    assert sid(token) == sid(pair.refresh_token)
    assert api.post("/auth/logout", token=access, headers=holding(token, **BROWSER)).status_code == 204
    assert api.get("/ping", pair.access_token).status_code == 401


@pytest.mark.parametrize("scope", ["local", "global"])
def test_a_logout_by_the_cookie_ends_the_session_and_clears_it(api: Api, pair: TokenPair, scope: str) -> None:
    response = api.post(f"/auth/logout?scope={scope}", headers=holding(pair.refresh_token, **BROWSER))
    assert response.status_code == 204
    cookie = cookie_in(response)
    assert cookie is not None
    assert (cookie.value, cookie["max-age"]) == ("", "0")
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, True, "Strict", "/")
    problem(api.get("/ping", pair.access_token), 401, "token_revoked")
    problem(api.post("/auth/refresh", headers=holding(pair.refresh_token, **BROWSER)), 401, "token_revoked")


def test_a_logout_by_an_access_token_clears_it_if_it_is_asked_to(app: Flask, api: Api, pair: TokenPair) -> None:
    assert cookie_in(api.post("/auth/logout", token=pair.access_token, headers=BROWSER)) is not None
    other = a_session(app, a_user(app))
    assert cookie_in(api.post("/auth/logout", token=other.access_token)) is None


def test_a_logout_whose_cookie_is_refused_is_of_the_access_token_and_clears_it(app: Flask, api: Api) -> None:
    dead, user = a_session(app, a_user(app)), a_user(app)
    api.post("/auth/logout", token=dead.access_token)
    for value in (dead.refresh_token, "x.y.z"):
        pair = a_session(app, user)
        response = api.post("/auth/logout", token=pair.access_token, headers=holding(value, **BROWSER))
        assert response.status_code == 204, response.get_json()
        cookie = cookie_in(response)
        assert cookie is not None
        assert cookie["max-age"] == "0"
        problem(api.get("/ping", pair.access_token), 401, "token_revoked")
    problem(api.post("/auth/logout", token="x", headers=holding("x.y.z", **BROWSER)), 401, "token_invalid")


def test_a_deleted_account_leaves_no_cookie_where_the_request_asks_for_it(app: Flask, api: Api) -> None:
    for headers, max_age in ((BROWSER, "0"), ({}, None)):
        pair = a_session(app, a_user(app))
        response = api("DELETE", "/users/me", pair.access_token, json={"password": PASSWORD}, headers=headers)
        assert response.status_code == 204, response.get_json()
        cookie = cookie_in(response)
        assert (cookie and cookie["max-age"]) == max_age


def test_a_logout_of_the_others_keeps_it(app: Flask, api: Api, pair: TokenPair) -> None:
    response = api.post("/auth/logout?scope=others", headers=holding(pair.refresh_token, **BROWSER))
    assert (response.status_code, cookie_in(response)) == (204, None)
    assert_in_cookie(api.post("/auth/refresh", headers=holding(pair.refresh_token, **BROWSER)))


@pytest.mark.parametrize("path", ["/ping", "/users/me", "/auth/verify"])
def test_no_other_route_takes_it(api: Api, pair: TokenPair, path: str) -> None:
    problem(api.get(path, headers=holding(pair.refresh_token, **BROWSER)), 401, "token_missing")


@pytest.mark.parametrize("value", ["", "x", "x.y.z", "a b", "é".encode().decode("latin-1")])
def test_what_is_no_token_is_refused(api: Api, value: str) -> None:
    for path in ("/auth/refresh", "/auth/logout"):
        assert api.post(path, headers=holding(value, **BROWSER)).status_code == 401


def test_an_access_token_in_the_cookie_is_none(api: Api, pair: TokenPair) -> None:
    problem(api.post("/auth/logout", headers=holding(pair.access_token, **BROWSER)), 401, "token_invalid")


def test_where_it_is_off_the_cookie_and_the_header_mean_nothing(shared_app: Flask) -> None:
    with rolled_back(shared_app):
        api = Api(shared_app.test_client(use_cookies=False))
        a_user(shared_app, "ada")
        response = api.post("/auth/login", {"username": "ada", "password": PASSWORD}, headers=BROWSER)
        token = response.get_json()["refresh_token"]
        assert cookie_in(response) is None
        for path in ("/auth/refresh", "/auth/logout"):
            problem(api.post(path, headers=holding(token, **BROWSER)), 401, "token_missing")


def test_the_document_has_it_only_where_it_is_on(api: Api, shared_app: Flask) -> None:
    on, off = (client.get("/openapi.json").get_json() for client in (api.client, shared_app.test_client()))
    assert "ookie" not in str(off).replace("cookies", "")
    assert on["components"]["securitySchemes"]["refreshCookie"]["name"] == NAME
    assert "refresh_token" not in on["components"]["schemas"]["TokenPair"]["required"]
    operations = {
        each["operationId"]: each
        for item in on["paths"].values()
        for name, each in item.items()
        if name != "parameters"
    }
    asked = {
        name
        for name, each in operations.items()
        if any(parameter.get("name") == "X-Authapp-Cookie" for parameter in each.get("parameters", []))
    }
    given = {name for name, each in operations.items() if "Set-Cookie" in str(each)}
    taken = {name for name, each in operations.items() if {"refreshCookie": []} in each["security"]}
    refused = {name for name, each in operations.items() if "origin_not_allowed" in str(each["responses"].get("403"))}
    logins = {"logIn", "logInWithPasskey", "logInWithLink", "logInWithProvider"}
    assert given == logins | {"refreshTokens", "createStepUp", "completeLogin"}
    assert taken == refused == {"refreshTokens", "logOut"}
    assert asked == given | taken | {"deleteOwnAccount"}


def test_the_second_step_of_a_login_gives_it_as_well(app: Flask, api: Api) -> None:
    user = a_user(app)
    phone = an_app(app, user)
    step = {"challenge": challenge_of(api, user), "factor": "totp", "code": phone.code()}
    assert_in_cookie(api.post("/auth/second-factors", step, headers=BROWSER))
