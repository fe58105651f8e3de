"""No administrator can lock out the last one, and nobody gives away or overrules more than they hold."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import func, select

from authapp.context import OPERATOR
from authapp.database.session import db
from authapp.domain.services import Services
from authapp.errors import LastAdmin
from authapp.models import User, UserRole, UserStatus
from domain.concurrently import at_once
from factories import PASSWORD, Api, a_service, a_session, a_user, problem

Act = Callable[[Api, str, str], object]

REMOVALS: dict[str, Act] = {
    "disable": lambda api, user, token: api("PATCH", f"/users/{user}", token, json={"status": "disabled"}),
    "take the role": lambda api, user, token: api("PATCH", f"/users/{user}", token, json={"roles": []}),
    "delete": lambda api, user, token: api("DELETE", f"/users/{user}", token),
    "delete the own account": lambda api, _, token: api("DELETE", "/users/me", token, json={"password": PASSWORD}),
}


@pytest.mark.parametrize("removal", REMOVALS)
def test_the_last_administrator_stays(app: Flask, api: Api, removal: str) -> None:
    admin = a_user(app, roles=["admin"])
    token = a_session(app, admin).access_token

    problem(REMOVALS[removal](api, str(admin.id), token), 409, "last_admin")  # type: ignore[arg-type]
    assert api.get("/users/me", token).get_json()["roles"] == ["admin"]

    a_user(app, roles=["admin"])
    assert REMOVALS[removal](api, str(admin.id), token).status_code in {200, 204}  # type: ignore[attr-defined]


def test_a_disabled_administrator_does_not_count(app: Flask, api: Api) -> None:
    admin, other = a_user(app, roles=["admin"]), a_user(app, roles=["admin"])
    token = a_session(app, admin).access_token
    assert api("PATCH", f"/users/{other.id}", token, json={"status": "disabled"}).status_code == 200

    problem(api("PATCH", f"/users/{admin.id}", token, json={"roles": []}), 409, "last_admin")


def test_a_service_account_is_no_other_administrator_and_may_go(app: Flask, api: Api) -> None:
    admin, service = a_user(app, roles=["admin"]), a_service(app, "robot", roles=["admin"])
    token = a_session(app, admin).access_token
    problem(api("PATCH", f"/users/{admin.id}", token, json={"roles": []}), 409, "last_admin")
    assert api("DELETE", f"/users/{service.id}", token).status_code == 204


@pytest.mark.committed
@pytest.mark.parametrize("how", ["disable", "delete", "revoke"])
def test_of_administrators_who_remove_each_other_at_the_same_moment_one_stays(app: Flask, how: str) -> None:
    administration = Services.of(app).administration
    more = ["admin"] if how == "revoke" else []
    for _ in range(8):
        admins = [a_user(app, roles=["admin"]) for _ in range(2)]
        removals = [lambda user=user: getattr(administration, how)(user.id, *more, OPERATOR) for user in admins]
        outcomes = at_once(app, *removals)
        assert [outcome for outcome in outcomes if outcome is LastAdmin] == [LastAdmin]
        with app.app_context():
            left = select(func.count()).select_from(User).join(UserRole).where(User.status == UserStatus.ACTIVE)
            assert db.session.scalar(left.where(UserRole.role_name == "admin")) == 1
            for user in admins:
                db.session.delete(db.session.get(User, user.id)) if db.session.get(User, user.id) else None
            db.session.commit()


@pytest.fixture
def helper(app: Flask) -> str:
    """The token of somebody who may write users and roles, and nothing else."""
    a_user(app, roles=["admin"])
    with app.app_context():
        Services.of(app).roles.create("helper", ["users:write", "users:read", "roles:write"], context=OPERATOR)
    return a_session(app, a_user(app, "helper", roles=["helper"])).access_token


def test_who_may_write_users_reaches_no_stronger_account(app: Flask, api: Api, helper: str) -> None:
    admin = a_user(app, roles=["admin"])
    for change in ({"email": "mine@example.com"}, {"username": "mine"}, {"status": "disabled"}, {"roles": []}):
        problem(api("PATCH", f"/users/{admin.id}", helper, json=change), 403, "permission_denied")
    problem(api("DELETE", f"/users/{admin.id}", helper), 403, "permission_denied")
    problem(api("DELETE", f"/users/{admin.id}/sessions", helper), 403, "permission_denied")


def test_who_may_write_users_gives_away_no_more_than_they_hold(app: Flask, api: Api, helper: str) -> None:
    with app.app_context():
        Services.of(app).roles.create("auditor", ["audit:read"], context=OPERATOR)
    plain = a_user(app)
    for role in ("admin", "auditor"):
        problem(api("PATCH", f"/users/{plain.id}", helper, json={"roles": [role]}), 403, "permission_denied")
        account = {"username": "mine", "email": "mine@example.com", "password": PASSWORD, "roles": [role]}
        problem(api.post("/users", account, helper), 403, "permission_denied")
    assert api("PATCH", f"/users/{plain.id}", helper, json={"roles": ["helper"]}).status_code == 200


def test_a_role_that_permits_nothing_here_is_given_by_those_who_have_it_or_may_make_roles(
    app: Flask, api: Api, helper: str
) -> None:
    with app.app_context():
        roles = Services.of(app).roles
        roles.create("billing-admin", context=OPERATOR)
        roles.create("desk", ["users:write"], context=OPERATOR)
    plain, desk = a_user(app), a_user(app, roles=["desk"])
    token = a_session(app, desk).access_token
    # Other services let people in by its name, which forward auth and introspection show.
    for someone in (plain, desk):
        change = {"roles": [*someone.roles, "billing-admin"]}
        problem(api("PATCH", f"/users/{someone.id}", token, json=change), 403, "permission_denied")
    assert api("PATCH", f"/users/{plain.id}", token, json={"roles": ["desk"]}).status_code == 200
    assert api("PATCH", f"/users/{plain.id}", helper, json={"roles": ["billing-admin"]}).status_code == 200
    # Who has it already is no stronger for it.
    assert api("PATCH", f"/users/{plain.id}", token, json={"status": "disabled"}).status_code == 200


def test_who_may_write_roles_puts_no_more_into_them_than_they_hold(app: Flask, api: Api, helper: str) -> None:
    wanted = {"permissions": ["audit:read"]}
    problem(api.post("/roles", {"name": "mine", **wanted}, helper), 403, "permission_denied")
    problem(api("PATCH", "/roles/helper", helper, json=wanted), 403, "permission_denied")
    assert api.post("/roles", {"name": "mine", "permissions": ["users:read"]}, helper).status_code == 201
