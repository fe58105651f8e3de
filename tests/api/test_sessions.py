"""Sessions: who sees them, and who ends them."""

from uuid import uuid4

import pytest
from flask import Flask

from authapp.models import User
from factories import PASSWORD, Api, a_session, a_user, problem


@pytest.fixture
def user(app: Flask) -> User:
    return a_user(app)


def test_users_see_their_live_sessions_and_which_is_current(app: Flask, api: Api, user: User) -> None:
    a_session(app, a_user(app))
    over = a_session(app, user)
    api.post("/auth/logout", token=over.access_token)
    older = a_session(app, user)
    newer = api.post(
        "/auth/login",
        {"username": user.username, "password": PASSWORD},
        headers={"User-Agent": "browser"},
        environ_base={"REMOTE_ADDR": "2001:db8::1"},
    ).get_json()
    items = api.get("/users/me/sessions", older.access_token).get_json()["items"]
    assert [(item["current"], item["user_agent"], item["ip_address"]) for item in items] == [
        (False, "browser", "2001:db8::1"),
        (True, "tests", "192.0.2.1"),
    ]
    assert list(items[0]) == [
        "id", "current", "created_at", "last_used_at", "expires_at", "ip_address", "user_agent", "amr"
    ]  # fmt: skip
    assert [item["amr"] for item in items] == [["pwd"], ["pwd"]]
    items = api.get("/users/me/sessions", newer["access_token"]).get_json()["items"]
    assert [item["current"] for item in items] == [True, False]


def test_a_refresh_is_a_use_and_a_request_is_not(app: Flask, api: Api, user: User) -> None:
    pair = a_session(app, user)

    def last_used() -> str:
        used: str = api.get("/users/me/sessions", pair.access_token).get_json()["items"][0]["last_used_at"]
        return used

    before = last_used()
    assert last_used() == before
    api.post("/auth/refresh", token=pair.refresh_token)
    assert last_used() > before


def test_a_user_ends_one_session(app: Flask, api: Api, user: User) -> None:
    here, there = a_session(app, user), a_session(app, user)
    other = next(
        item for item in api.get("/users/me/sessions", here.access_token).get_json()["items"] if not item["current"]
    )
    assert api("DELETE", f"/users/me/sessions/{other['id']}", here.access_token).status_code == 204
    problem(api.get("/ping", there.access_token), 401, "token_revoked")
    problem(api.post("/auth/refresh", token=there.refresh_token), 401, "token_revoked")
    assert api.get("/ping", here.access_token).status_code == 200
    problem(api("DELETE", f"/users/me/sessions/{other['id']}", here.access_token), 404, "not_found")


def test_nobody_ends_the_session_of_somebody_else(app: Flask, api: Api, user: User) -> None:
    victim, thief = a_session(app, user), a_session(app, a_user(app))
    target = api.get("/users/me/sessions", victim.access_token).get_json()["items"][0]["id"]
    problem(api("DELETE", f"/users/me/sessions/{target}", thief.access_token), 404, "not_found")
    problem(api("DELETE", f"/users/me/sessions/{uuid4()}", thief.access_token), 404, "not_found")
    problem(api("DELETE", "/users/me/sessions/x", thief.access_token), 404, "not_found")
    assert api.get("/ping", victim.access_token).status_code == 200


@pytest.mark.parametrize(
    ("scope", "here_lives", "there_lives"),
    [("", False, True), ("?scope=local", False, True), ("?scope=others", True, False), ("?scope=global", False, False)],
)
def test_a_logout_ends_what_its_scope_says(
    app: Flask, api: Api, user: User, scope: str, here_lives: bool, there_lives: bool
) -> None:
    here, there, stranger = a_session(app, user), a_session(app, user), a_session(app, a_user(app))
    assert api.post(f"/auth/logout{scope}", token=here.access_token).status_code == 204
    for pair, lives in ((here, here_lives), (there, there_lives), (stranger, True)):
        assert (api.get("/ping", pair.access_token).status_code == 200) is lives
        assert (api.post("/auth/refresh", token=pair.refresh_token).status_code == 200) is lives


@pytest.mark.parametrize("query", ["scope=all", "scope=", "scope=LOCAL", "session=1", "scope=local&x=1"])
def test_a_scope_that_there_is_not_ends_nothing(app: Flask, api: Api, user: User, query: str) -> None:
    token = a_session(app, user).access_token
    body = problem(api.post(f"/auth/logout?{query}", token=token), 422, "validation_failed")
    assert body["errors"][0]["pointer"].startswith("#/query/")
    assert api.get("/ping", token).status_code == 200
