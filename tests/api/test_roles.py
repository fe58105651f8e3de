"""Roles over the API: how they may be described, and who is told of when one is deleted."""

from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from authapp.api.schemas.roles import ROLE_DESCRIPTION_RULE
from authapp.context import OPERATOR
from authapp.database.session import db
from authapp.domain.audit import EventType
from authapp.domain.services import Services
from authapp.models import AuditEvent, UserRole
from factories import Api, a_session, a_user, problem

BAD = ["x" * 201, "Phones.\nadmin  users:write", "\r", "\t", "\x1b[2J", "\x7f", "\x85", "a\u2028b", "a\u2029b"]
GOOD = ["", "x" * 200, "\u00e4\u4e16\U0001f642" * 60, "Answers the phone; <b>'quotes'</b> \\ and $1."]


@pytest.fixture
def token(app: Flask) -> str:
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
def test_a_grant_of_a_role_while_it_is_deleted_is_recorded(app: Flask) -> None:
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
        revoked = select(AuditEvent.subject_id).where(AuditEvent.type == EventType.ROLE_REVOKED)
        assert list(db.session.scalars(revoked)) == [user.id]


def test_every_error_of_a_role_is_named_at_once(api: Api, token: str) -> None:
    bad = {"name": "No!", "description": "\n", "permissions": ["users:eat"]}
    errors = problem(api.post("/roles", bad, token), 422, "validation_failed")["errors"]
    assert [error["pointer"] for error in errors] == ["#/name", "#/description", "#/permissions/0"]


def test_the_contract_tells_the_rule(api: Api) -> None:
    schemas = api.client.get("/openapi.json").get_json()["components"]["schemas"]
    for schema in ("RoleCreation", "RoleChange"):
        description = schemas[schema]["properties"]["description"]
        assert {name: description[name] for name in ROLE_DESCRIPTION_RULE} == ROLE_DESCRIPTION_RULE
