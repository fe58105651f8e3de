"""The list of users, a page at a time: searched, filtered, and the same while rows come and go."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from authapp import clock
from authapp.context import OPERATOR
from authapp.database.session import db
from authapp.domain.services import Services
from authapp.models import User
from factories import Api, a_service, a_session, a_user, problem

NAMES = ["anna", "Annabel", "ann_x", "ann%y", "bert", "berta", "carl"]


@pytest.fixture
def admin(app: Flask) -> str:
    return a_session(app, a_user(app, "zoe", roles=["admin"])).access_token


def names(api: Api, token: str, query: dict[str, Any]) -> list[str]:
    """Walk all pages, and return the usernames in their order."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = api.get("/users", token, query_string={**query, **cursor}).get_json()
        found += [user["username"] for user in page["items"]]
        if page["next_cursor"] is None:
            return found
        assert len(page["items"]) == query.get("limit", 50)
        cursor = {"cursor": page["next_cursor"]}


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_the_pages_together_are_the_list_the_newest_first(app: Flask, api: Api, admin: str, limit: int) -> None:
    made = [a_user(app).username for _ in range(7)]
    assert names(api, admin, {"limit": limit}) == [*reversed(made), "zoe"]


@pytest.mark.parametrize("limit", [1, 2, 100])
@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("ann", ["ann_x", "anna", "Annabel"]),
        ("ANN", ["ann_x", "anna", "Annabel"]),
        ("ann_", ["ann_x"]),
        ("ann%", []),
        ("anna@example", ["anna"]),
        ("elsewhere", ["carl"]),
        ("x", []),
        ("\\", []),
    ],
)
def test_a_search_finds_what_begins_so_by_name(
    app: Flask, api: Api, admin: str, q: str, found: list[str], limit: int
) -> None:
    for name in ["Annabel", "carl", "ann_x", "anna", "bert"]:
        a_user(app, name, email=f"{'elsewhere' if name == 'carl' else name.lower()}@example.com")
    assert names(api, admin, {"q": q, "limit": limit}) == found


def test_filters_narrow_the_list(app: Flask, api: Api, admin: str) -> None:
    with app.app_context():
        Services.of(app).roles.create("support", ["users:read"], context=OPERATOR)
        made = [a_user(app, f"user-{number}", roles=["support"] if number % 2 else []) for number in range(6)]
        for user in made[:3]:
            Services.of(app).administration.disable(user.id, OPERATOR)
    assert names(api, admin, {"role": "support", "limit": 1}) == ["user-5", "user-3", "user-1"]
    assert names(api, admin, {"status": "disabled", "limit": 2}) == ["user-2", "user-1", "user-0"]
    assert names(api, admin, {"role": "support", "status": "disabled", "limit": 1}) == ["user-1"]
    assert names(api, admin, {"role": "support", "status": "active", "q": "user-", "limit": 1}) == ["user-3", "user-5"]
    assert names(api, admin, {"role": "nobody"}) == []
    with app.app_context():
        verified = update(User).where(User.id.in_([made[1].id, made[4].id])).values(email_verified_at=clock.now())
        db.session.execute(verified)
        db.session.commit()
    assert names(api, admin, {"email_verified": "true", "limit": 1}) == ["user-4", "user-1"]
    assert names(api, admin, {"email_verified": "false", "status": "disabled"}) == ["user-2", "user-0"]
    assert names(api, admin, {"email_verified": "true", "role": "support", "q": "user-"}) == ["user-1"]
    a_service(app, "user-service")
    assert "user-service" in names(api, admin, {"q": "user-"})
    for verified_or_not in ("true", "false"):
        assert "user-service" not in names(api, admin, {"email_verified": verified_or_not})


def test_rows_that_come_and_go_neither_repeat_nor_hide_others(app: Flask, api: Api, admin: str) -> None:
    made = [a_user(app) for _ in range(6)]
    first = api.get("/users", admin, query_string={"limit": 3}).get_json()
    a_user(app)
    with app.app_context():
        Services.of(app).administration.delete(made[4].id, OPERATOR)
    second = api.get("/users", admin, query_string={"limit": 10, "cursor": first["next_cursor"]}).get_json()
    seen = [user["username"] for user in [*first["items"], *second["items"]]]
    assert seen == [*reversed([user.username for user in made]), "zoe"]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"limit": "9" * 400}, "limit"),
        ({"cursor": "garbage"}, "cursor"),
        ({"cursor": ""}, "cursor"),
        ({"cursor": "x" * 5000}, "cursor"),
        ({"status": "asleep"}, "status"),
        ({"role": "NOT a role"}, "role"),
        ({"email_verified": "yes"}, "email_verified"),
        ({"email_verified": ""}, "email_verified"),
        ({"q": ""}, "q"),
        ({"q": "a\0"}, "q"),
        ({"q": "x" * 1000}, "q"),
        ({"page": 2}, "page"),
    ],
)
def test_what_cannot_be_asked_is_named(api: Api, admin: str, query: dict[str, Any], name: str) -> None:
    body = problem(api.get("/users", admin, query_string=query), 422, "validation_failed")
    assert [error["pointer"] for error in body["errors"]] == [f"#/query/{name}"]


def test_a_cursor_is_good_for_its_list_and_its_filters_alone(app: Flask, api: Api, admin: str) -> None:
    for _ in range(3):
        a_user(app)
    cursor = api.get("/users", admin, query_string={"limit": 1}).get_json()["next_cursor"]
    for path, query in [
        ("/users", {"status": "active"}),
        ("/users", {"email_verified": "true"}),
        ("/users", {"q": "u"}),
        ("/audit-events", {}),
    ]:
        refused = api.get(path, admin, query_string={**query, "cursor": cursor})
        assert problem(refused, 422, "validation_failed")["errors"][0]["pointer"] == "#/query/cursor"
    # In the middle of the signature: some bits of a base64url text's last character stand for nothing.
    swapped = cursor[:-20] + ("A" if cursor[-20] != "A" else "B") + cursor[-19:]
    problem(api.get("/users", admin, query_string={"cursor": swapped}), 422, "validation_failed")
    assert api.get("/users", admin, query_string={"limit": 2, "cursor": cursor}).status_code == 200
