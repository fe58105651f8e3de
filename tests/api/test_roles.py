"""Roles over the API: how they may be described, and who is told of when one is deleted."""

from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from authapp import clock
from authapp.api.schemas.roles import ROLE_DESCRIPTION_RULE
from authapp.cli.roles import roles as roles_commands
from authapp.context import OPERATOR
from authapp.database.session import db
from authapp.domain.audit import EventType
from authapp.domain.services import Services
from authapp.errors import ValidationFailed
from authapp.models import AuditEvent, Role, UserRole
from authapp.models.role import ROLES_PER_ACCOUNT
from cli.invoking import data, invoke
from clocks import Time
from factories import PASSWORD, Api, a_session, a_user, problem

BAD = [
    "x" * 201,
    "Phones.\nadmin  users:write",
    "\r",
    "\t",
    "\x1b[2J",
    "\x7f",
    "\x85",
    "a\u2028b",
    "a\u2029b",
    "evil\u202emoc",
    "\u2066x",
]
GOOD = ["", "x" * 200, "\u00e4\u4e16\U0001f642" * 60, "Answers the phone; <b>'quotes'</b> \\ and $1."]


@pytest.fixture
def token(app: Flask, time: Time) -> str:
    return a_session(app, a_user(app, roles=["admin"])).access_token


def described(api: Api, token: str, name: str) -> str:
    items: list[dict[str, Any]] = api.get("/roles", token).get_json()["items"]
    (description,) = [role["description"] for role in items if role["name"] == name]
    return str(description)


@pytest.mark.parametrize("description", BAD, ids=ascii)
def test_a_description_is_one_line_of_a_bearable_length(api: Api, token: str, description: str) -> None:
    assert api.post("/roles", {"name": "support", "description": "Phones."}, token).status_code == 201
    for answer in (
        api.post("/roles", {"name": "editors", "description": description}, token),
        api("PATCH", "/roles/support", token, json={"description": description, "permissions": ["users:read"]}),
    ):
        (error,) = problem(answer, 422, "validation_failed")["errors"]
        assert error["pointer"] == "#/description"
    assert described(api, token, "support") == "Phones."
    assert [role["name"] for role in api.get("/roles", token).get_json()["items"]] == ["admin", "support"]


@pytest.mark.parametrize("description", GOOD, ids=ascii)
def test_any_other_description_is_kept_as_it_is(api: Api, token: str, description: str) -> None:
    assert api.post("/roles", {"name": "support", "description": description}, token).status_code == 201
    assert described(api, token, "support") == description
    assert api("PATCH", "/roles/support", token, json={"description": "Phones."}).status_code == 200
    assert api("PATCH", "/roles/support", token, json={"description": description}).status_code == 200
    assert described(api, token, "support") == description


@pytest.mark.committed
def test_a_grant_of_a_role_while_it_is_deleted_is_revoked_with_it(app: Flask) -> None:
    user = a_user(app)
    with app.app_context():
        Services.of(app).roles.create("support", context=OPERATOR)

    def delete() -> None:
        with app.app_context():
            Services.of(app).roles.delete("support", context=OPERATOR)

    with ThreadPoolExecutor(1) as pool, app.app_context():
        db.session.add(UserRole(user_id=user.id, role_name="support"))
        db.session.flush()
        deletion = pool.submit(delete)
        assert not wait([deletion], timeout=0.3).done, "it waits for the grant"
        db.session.commit()
        deletion.result()

    with app.app_context():
        deleted = select(AuditEvent.details).where(AuditEvent.type == EventType.ROLE_DELETED)
        assert list(db.session.scalars(deleted)) == [{"role": "support", "holders": 1}]
        assert Services.of(app).accounts.find(user.id).roles == []


def names(api: Api, token: str, **query: Any) -> list[list[str]]:
    """Return the names on each page of the list of roles."""
    pages = []
    while True:
        page = api.get("/roles", token, query_string=query).get_json()
        pages.append([role["name"] for role in page["items"]])
        if page["next_cursor"] is None:
            return pages
        query["cursor"] = page["next_cursor"]


def test_the_list_has_pages(app: Flask, api: Api, token: str) -> None:
    for name in ("c", "b", "d"):
        assert api.post("/roles", {"name": name}, token).status_code == 201
    assert names(api, token) == [["admin", "b", "c", "d"]]
    assert names(api, token, limit=4) == [["admin", "b", "c", "d"]]
    assert names(api, token, limit=3) == [["admin", "b", "c"], ["d"]]
    assert names(api, token, limit=1) == [["admin"], ["b"], ["c"], ["d"]]
    # A deleted role, of which rows are left, takes its place on a page and is not shown.
    with app.app_context():
        db.session.execute(update(Role).where(Role.name == "b").values(deleted_at=clock.now()))
        db.session.commit()
    assert names(api, token, limit=2) == [["admin"], ["c", "d"]]


def test_a_list_without_a_limit_has_fifty_roles_and_says_that_there_are_more(app: Flask, api: Api, token: str) -> None:
    with app.app_context():
        for number in range(50):
            Services.of(app).roles.create(f"role-{number:02}", context=OPERATOR)
    assert [len(page) for page in names(api, token)] == [50, 1]
    assert len(data(invoke(app, roles_commands, "list", "--json"))) == 51


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 101}, {"cursor": "garbage"}, {"page": 2}])
def test_what_cannot_be_asked_of_the_list_is_named(api: Api, token: str, query: dict[str, Any]) -> None:
    (error,) = problem(api.get("/roles", token, query_string=query), 422, "validation_failed")["errors"]
    assert error["pointer"] == f"#/query/{next(iter(query))}"


def test_an_account_has_a_bounded_number_of_roles(app: Flask) -> None:
    services, wanted = Services.of(app), [f"role-{number}" for number in range(ROLES_PER_ACCOUNT + 1)]
    with app.app_context():
        for name in wanted:
            services.roles.create(name, context=OPERATOR)
        user = a_user(app, roles=wanted[1:])
        for refused in (
            lambda: services.administration.grant(user.id, wanted[0], OPERATOR),
            lambda: a_user(app, roles=wanted),
        ):
            with pytest.raises(ValidationFailed, match="An account has at most 50 roles"):
                refused()
        assert len(services.administration.revoke(user.id, wanted[1], OPERATOR).roles) == ROLES_PER_ACCOUNT - 1


def test_other_permissions_of_a_role_need_a_recent_login(api: Api, token: str, time: Time) -> None:
    assert api.post("/roles", {"name": "support", "permissions": ["users:read"]}, token).status_code == 201
    time.passes(minutes=10)
    widened = {"permissions": ["users:read", "users:write"]}
    problem(api("PATCH", "/roles/support", token, json=widened), 401, "step_up_required")
    same = {"permissions": ["users:read"], "description": "Phones."}
    assert api("PATCH", "/roles/support", token, json=same).status_code == 200
    stepped_up = api.post("/auth/step-ups", {"password": PASSWORD}, token).get_json()["access_token"]
    assert api("PATCH", "/roles/support", stepped_up, json=widened).status_code == 200


def test_every_error_of_a_role_is_named_at_once(api: Api, token: str) -> None:
    bad = {"name": "No!", "description": "\n", "permissions": ["users:eat"]}
    errors = problem(api.post("/roles", bad, token), 422, "validation_failed")["errors"]
    assert [error["pointer"] for error in errors] == ["#/name", "#/description", "#/permissions/0"]


def test_the_contract_tells_the_rule(api: Api) -> None:
    schemas = api.client.get("/openapi.json").get_json()["components"]["schemas"]
    for schema in ("RoleCreation", "RoleChange"):
        description = schemas[schema]["properties"]["description"]
        assert {name: description[name] for name in ROLE_DESCRIPTION_RULE} == ROLE_DESCRIPTION_RULE
