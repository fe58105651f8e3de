"""Sessions: who sees them, and who ends them."""

from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import text

from authapp.database.session import db
from authapp.domain.services import Services
from authapp.models import User
from factories import PASSWORD, Api, a_session, a_user, problem


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
        *("id", "current", "created_at", "last_used_at", "expires_at", "ip_address", "user_agent"),
        *("amr", "acr", "auth_time"),
    ]  # fmt: skip
    assert [(item["amr"], item["acr"]) for item in items] == [(["pwd"], "sfa")] * 2
    assert all(item["auth_time"] <= item["created_at"] for item in items)
    items = api.get("/users/me/sessions", newer["access_token"]).get_json()["items"]
    assert [item["current"] for item in items] == [True, False]


def test_the_list_comes_in_pages(app: Flask, api: Api, user: User) -> None:
    pairs = [a_session(app, user) for _ in range(5)]
    a_session(app, a_user(app))
    token = pairs[0].access_token
    api.post("/auth/logout", token=pairs[3].access_token)
    everything = api.get("/users/me/sessions", token).get_json()
    assert everything["next_cursor"] is None
    seen, query = [], {"limit": 2}
    for size in (2, 2):
        page = api.get("/users/me/sessions", token, query_string=query).get_json()
        assert len(page["items"]) == size
        seen += page["items"]
        query = {"limit": 2, "cursor": page["next_cursor"]}
    assert page["next_cursor"] is None
    assert seen == everything["items"]


def test_a_cursor_of_another_users_list_is_refused(app: Flask, api: Api, user: User) -> None:
    for _ in range(2):
        token = a_session(app, user).access_token
    cursor = api.get("/users/me/sessions?limit=1", token).get_json()["next_cursor"]
    other = a_session(app, a_user(app)).access_token
    for query in ({"cursor": cursor}, {"cursor": "x"}, {"limit": 0}, {"limit": 101}, {"page": 2}):
        body = problem(api.get("/users/me/sessions", other, query_string=query), 422, "validation_failed")
        assert body["errors"][0]["pointer"] == f"#/query/{next(iter(query))}"


def test_a_page_may_be_short_where_sessions_have_expired(app: Flask, api: Api, user: User) -> None:
    pairs = [a_session(app, user) for _ in range(3)]
    with app.app_context():
        ids = [Services.of(app).tokens.read(pair.access_token)["sid"] for pair in pairs]
        expire = text("UPDATE sessions SET refresh_expires_at = now() - interval '1 minute' WHERE id = :id")
        db.session.execute(expire, {"id": ids[1]})
        db.session.commit()
    token = pairs[0].access_token
    first = api.get("/users/me/sessions?limit=2", token).get_json()
    rest = api.get("/users/me/sessions", token, query_string={"cursor": first["next_cursor"]}).get_json()
    assert [[item["id"] for item in page["items"]] for page in (first, rest)] == [[ids[2]], [ids[0]]]
    assert rest["next_cursor"] is None


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
