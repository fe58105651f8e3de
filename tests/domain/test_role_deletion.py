"""Roles that more people hold than one request removes: gone for everybody at once, and tidied up later."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, event, func, select, text

from authapp.cli.roles import roles
from authapp.context import OPERATOR
from authapp.database.session import db, transaction
from authapp.domain.audit import EventType
from authapp.domain.roles import deletion
from authapp.domain.services import Services
from authapp.errors import RoleTaken, ValidationFailed
from authapp.models import AuditEvent, Role, User, UserRole
from cli.invoking import data, invoke
from factories import Api, a_session, a_user, problem

AT_ONCE, MANY = 3, 7
PG_CRON = Path(__file__).parents[2] / "deploy" / "pg_cron.sql"


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deletion, "REMOVED_AT_ONCE", AT_ONCE)
    monkeypatch.setattr(deletion, "BATCH", 2)


@pytest.fixture
def admin(app: Flask) -> str:
    return a_session(app, a_user(app, roles=["admin"])).access_token


def a_role(app: Flask, name: str = "support", holders: int = MANY) -> list[User]:
    """Create a role, and return its holders."""
    with app.app_context():
        Services.of(app).roles.create(name, ["users:read"], context=OPERATOR)
    return [a_user(app, roles=[name]) for _ in range(holders)]


def delete(app: Flask, name: str = "support") -> None:
    with app.app_context():
        Services.of(app).roles.delete(name, context=OPERATOR)


def rows(app: Flask, name: str = "support") -> tuple[int, int]:
    """Return how many rows there are of the role and of its holders, whatever the sessions hide."""
    with app.app_context():
        return tuple(
            db.session.scalar(select(func.count()).select_from(model.__table__).where(column == name)) or 0
            for model, column in ((Role, Role.__table__.c.name), (UserRole, UserRole.__table__.c.role_name))
        )


@pytest.mark.parametrize("holders", [AT_ONCE - 1, AT_ONCE, MANY])
def test_a_deleted_role_is_gone_for_everybody_at_once(app: Flask, api: Api, admin: str, holders: int) -> None:
    users = a_role(app, holders=holders)
    sessions = [a_session(app, user) for user in users]
    assert api.get("/users", sessions[-1].access_token).status_code == 200

    assert api("DELETE", "/roles/support", admin).status_code == 204

    for user, session in zip(users, sessions, strict=True):
        problem(api.get("/users", session.access_token), 403, "permission_denied")
        assert api.get("/auth/verify", session.access_token).headers["X-Auth-Roles"] == ""
        introspected = api.post("/auth/introspect", token=admin, data={"token": session.access_token})
        assert introspected.get_json()["roles"] == []
        assert api.get(f"/users/{user.id}", admin).get_json()["roles"] == []
    listed = api.get("/users", admin).get_json()["items"]
    assert {role for user in listed for role in user["roles"]} == {"admin"}
    for query in ({"role": "support"}, {"role": "support", "status": "active"}, {"role": "support", "q": "user"}):
        assert api.get("/users", admin, query_string=query).get_json() == {"items": [], "next_cursor": None}


def test_a_deleted_role_is_not_there_though_rows_of_its_holders_are_left(app: Flask, api: Api, admin: str) -> None:
    user = a_role(app)[-1]
    delete(app)
    assert rows(app) == (1, MANY - AT_ONCE)
    assert [role["name"] for role in api.get("/roles", admin).get_json()["items"]] == ["admin"]
    assert [role["name"] for role in data(invoke(app, roles, "list", "--json"))] == ["admin"]
    problem(api("PATCH", "/roles/support", admin, json={"description": "Phones."}), 404, "not_found")
    problem(api("DELETE", "/roles/support", admin), 404, "not_found")
    for wanted in (["support"], ["support", "admin"]):
        refused = problem(api("PATCH", f"/users/{user.id}", admin, json={"roles": wanted}), 422, "validation_failed")
        assert refused["errors"] == [{"pointer": "#/roles", "detail": "There is no such role."}]
    account = {
        "username": "new",
        "email": "new@example.com",
        "password": "a long enough sentence",
        "roles": ["support"],
    }
    problem(api.post("/users", account, admin), 422, "validation_failed")
    with app.app_context(), pytest.raises(ValidationFailed):
        Services.of(app).administration.revoke(user.id, "support", OPERATOR)


def test_who_had_a_deleted_role_is_given_others_as_anybody(app: Flask, api: Api, admin: str) -> None:
    user = a_role(app)[-1]
    a_role(app, "editors", holders=0)
    delete(app)
    assert api("PATCH", f"/users/{user.id}", admin, json={"roles": ["editors"]}).get_json()["roles"] == ["editors"]
    assert api("DELETE", f"/users/{user.id}", admin).status_code == 204


def test_a_new_role_of_the_same_name_has_none_of_the_old_holders(app: Flask) -> None:
    users = a_role(app)
    delete(app)
    for left in (MANY - 2 * AT_ONCE, 0):
        with app.app_context():
            try:
                Services.of(app).roles.create("support", ["users:write"], context=OPERATOR)
            except RoleTaken:
                assert left
            else:
                assert not left
        assert rows(app) == (1, left)
    with app.app_context():
        assert [Services.of(app).accounts.find(user.id).roles for user in users] == [[]] * MANY
        assert Services.of(app).administration.grant(users[0].id, "support", OPERATOR).roles == ["support"]


def prune(app: Flask) -> int:
    return Services.of(app).pruning.prune()["deleted_roles"]


def prune_in_the_database(_app: Flask) -> int:
    """Run the jobs of pg_cron in the order of the file; return how many roles they remove."""
    removed = 0
    for job in ("user-roles", "roles"):
        (statement,) = re.findall(rf"'authapp-prune-{job}'.*\$\$(.*)\$\$", PG_CRON.read_text())
        with transaction():
            removed = db.session.connection().execute(text(statement)).rowcount
    return removed


@pytest.mark.parametrize("run", [prune, prune_in_the_database])
def test_the_rest_of_a_deleted_role_is_pruned_and_nothing_else(app: Flask, run: Callable[[Flask], int]) -> None:
    a_role(app)
    a_role(app, "editors")
    delete(app)
    with app.app_context():
        assert run(app) == 1
        assert run(app) == 0
    assert (rows(app), rows(app, "editors")) == ((0, 0), (1, MANY))


def test_pruning_spares_the_holders_of_a_new_role_of_the_name(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    users = a_role(app)
    delete(app)
    remove = deletion._remove_batch

    def remove_when_the_name_is_used_again(name: str) -> int:
        monkeypatch.setattr(deletion, "_remove_batch", remove)
        monkeypatch.setattr(deletion, "REMOVED_AT_ONCE", 1_000)
        Services.of(app).roles.create("support", context=OPERATOR)
        Services.of(app).administration.grant(users[0].id, "support", OPERATOR)
        return remove(name)

    monkeypatch.setattr(deletion, "_remove_batch", remove_when_the_name_is_used_again)
    with app.app_context():
        assert Services.of(app).pruning.prune()["deleted_roles"] == 0
    assert rows(app) == (1, 1)


@pytest.mark.committed
def test_a_role_keeps_its_row_while_another_node_removes_its_holders(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_role(app)
    delete(app)
    remove = deletion._remove_batch

    def remove_while_another_node_does(name: str) -> int:
        locked = select(Role.__table__).where(Role.name == name).with_for_update()
        with db.engine.begin() as other_node:
            assert other_node.execute(locked).one()
            return remove(name)

    monkeypatch.setattr(deletion, "_remove_batch", remove_while_another_node_does)
    with app.app_context():
        assert Services.of(app).pruning.prune()["deleted_roles"] == 0
    assert rows(app) == (1, MANY - AT_ONCE)
    monkeypatch.undo()
    with app.app_context():
        assert Services.of(app).pruning.prune()["deleted_roles"] == 1
    assert rows(app) == (0, 0)


def test_a_node_of_the_version_before_finds_no_permission_in_a_deleted_role(app: Flask) -> None:
    a_role(app)
    delete(app)
    with app.app_context():
        assert db.session.scalar(select(Role.permissions).where(Role.name == "support")) == []


@contextmanager
def rows_changed() -> Iterator[list[int]]:
    """Collect how many rows each statement but a SELECT changes."""
    changed: list[int] = []

    def see(_connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(("INSERT", "UPDATE", "DELETE", "WITH")):
            changed.append(cursor.rowcount)

    event.listen(Engine, "after_cursor_execute", see)
    try:
        yield changed
    finally:
        event.remove(Engine, "after_cursor_execute", see)


def test_deleting_a_role_writes_no_more_for_many_holders_than_for_few(app: Flask, api: Api, admin: str) -> None:
    written = []
    for name, holders in (("support", AT_ONCE), ("editors", 10 * AT_ONCE)):
        a_role(app, name, holders)
        with rows_changed() as changed:
            assert api("DELETE", f"/roles/{name}", admin).status_code == 204
        written.append(changed)
    assert written[0] == written[1]
    assert sum(written[0]) == AT_ONCE + 2, "the rows of some holders, the mark, and one event"


@pytest.mark.parametrize(
    ("holders", "details"),
    [(0, {"holders": 0}), (2, {"holders": 2}), (MANY, {"holders": AT_ONCE, "more_holders": True})],
)
def test_the_deletion_is_one_event_with_the_number_of_holders(
    app: Flask, holders: int, details: dict[str, Any]
) -> None:
    a_role(app, holders=holders)
    with app.app_context():
        before = db.session.scalar(select(func.count()).select_from(AuditEvent))
    delete(app)
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(AuditEvent)) == before + 1
        deleted = select(AuditEvent).where(AuditEvent.type == EventType.ROLE_DELETED)
        recorded = db.session.scalars(deleted).one()
        assert (recorded.subject_id, recorded.details) == (None, {"role": "support", **details})


def test_who_may_not_create_a_role_removes_nothing_of_a_deleted_one(app: Flask, api: Api, admin: str) -> None:
    a_role(app)
    delete(app)
    left = rows(app)
    wanted = {"name": "editors", "permissions": ["roles:write"], "description": ""}
    assert api.post("/roles", wanted, admin).status_code == 201
    editor = a_session(app, a_user(app, roles=["editors"])).access_token

    problem(api.post("/roles", {"name": "support", "permissions": ["users:read"]}, editor), 403, "permission_denied")
    assert rows(app) == left
