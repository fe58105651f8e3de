"""What administrators do to accounts, whatever the accounts are like, and whatever happens to them meanwhile."""

from functools import partial
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from authapp.context import OPERATOR, RequestContext
from authapp.database.session import db
from authapp.domain.passwords.hashing import PasswordHasher
from authapp.domain.services import Services
from authapp.domain.users.administration import Changes
from authapp.models import AuditEvent, Session, User
from cli.invoking import flask_users, succeeded
from domain.concurrently import at_once
from factories import PASSWORD, Api, a_session, a_user, problem
from factors import a_session_with_two_factors, an_app


@pytest.fixture
def admin(app: Flask) -> str:
    return a_session(app, a_user(app, roles=["admin"])).access_token


def events_of(app: Flask, user: User) -> list[str]:
    with app.app_context():
        found = select(AuditEvent.type).where(AuditEvent.subject_id == user.id).order_by(AuditEvent.occurred_at)
        return list(db.session.scalars(found))


def imported_user(app: Flask) -> User:
    """Return an account whose names keep none of the rules."""
    user = a_user(app)
    with app.app_context():
        names = {"username": "Jo Smith", "username_key": "jo smith", "email": "x@LOCALHOST", "email_key": "x@localhost"}
        db.session.execute(update(User).where(User.id == user.id).values(names))
        db.session.commit()
    return user


@pytest.mark.parametrize("change", [{"status": "disabled"}, {"roles": ["admin"]}, {"email": "jo@example.com"}])
def test_an_account_whose_names_keep_other_rules_is_changed_like_any_other(
    app: Flask, api: Api, change: dict[str, Any]
) -> None:
    user, administrator = imported_user(app), a_user(app, roles=["admin"])
    admin = a_session_with_two_factors(app, api, administrator, an_app(app, administrator)).access_token

    answer = api("PATCH", f"/users/{user.id}", admin, json=change)

    assert answer.status_code == 200, answer.get_json()
    expected = {"username": "Jo Smith", "email": "x@LOCALHOST", **change}
    assert {name: answer.get_json()[name] for name in expected} == expected


@pytest.mark.committed
def test_the_command_line_disables_an_account_whose_names_keep_other_rules(app: Flask) -> None:
    imported_user(app)

    assert "Disabled Jo Smith" in succeeded(flask_users(app, "disable", "jo smith"))


@pytest.mark.parametrize("name", ["username", "email"])
def test_an_empty_name_is_refused_and_not_ignored(app: Flask, api: Api, admin: str, name: str) -> None:
    refused = api("PATCH", f"/users/{a_user(app).id}", admin, json={name: ""})

    assert problem(refused, 422, "validation_failed")["errors"][0]["pointer"] == f"#/{name}"


def test_a_new_address_is_not_verified_and_the_same_one_stays_verified(app: Flask) -> None:
    user, administration = a_user(app), Services.of(app).administration
    with app.app_context():
        db.session.execute(update(User).where(User.id == user.id).values(email_verified_at=func.now()))
        db.session.commit()
        administration.change(user.id, Changes(username="renamed", email=user.email), OPERATOR)
        assert db.session.get_one(User, user.id).email_verified_at is not None
        administration.change(user.id, Changes(email="new@example.com"), OPERATOR)
        assert db.session.get_one(User, user.id).email_verified_at is None


@pytest.mark.committed
def test_no_connection_is_held_while_an_administrators_new_password_is_hashed(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, services, checked_out = a_user(app), Services.of(app), []
    hash_password = services.hasher.hash

    def hash_and_count(password: str, context: RequestContext) -> str:
        checked_out.append(db.engine.pool.checkedout())  # type: ignore[attr-defined]
        return hash_password(password, context)

    monkeypatch.setattr(services.hasher, "hash", hash_and_count)
    with app.app_context():
        before = db.engine.pool.checkedout()  # type: ignore[attr-defined]
        services.administration.set_password(user.id, "another long sentence", OPERATOR)
    assert checked_out == [before]


def test_a_name_that_is_what_it_was_changes_nothing(app: Flask, api: Api) -> None:
    user = a_user(app)
    token = a_session(app, user).access_token

    answer = api("PATCH", "/users/me", token, json={"username": user.username})

    assert (answer.status_code, answer.get_json()["updated_at"]) == (
        200,
        api.get("/users/me", token).json["updated_at"],
    )
    assert "user.changed" not in events_of(app, user)


REVOCATIONS = {
    "disabled": lambda services, user: services.administration.disable(user.id, OPERATOR),
    "logged out": lambda services, user: services.administration.end_sessions(user.id, OPERATOR),
    "no administrator any more": lambda services, user: services.administration.revoke(user.id, "admin", OPERATOR),
}


@pytest.mark.committed
@pytest.mark.parametrize("ending", REVOCATIONS)
def test_an_administrator_who_is_stopped_while_a_password_is_hashed_creates_nobody(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    a_user(app, roles=["admin"])
    user = a_user(app, roles=["admin"])
    token = a_session(app, user).access_token
    compute = PasswordHasher.hash

    def hash_(self: PasswordHasher, password: str, context: RequestContext) -> str:
        with app.app_context():
            REVOCATIONS[ending](Services.of(app), user)
        return compute(self, password, context)

    monkeypatch.setattr(PasswordHasher, "hash", hash_)
    account = {"username": "mine", "email": "mine@example.com", "password": PASSWORD, "roles": ["admin"]}

    assert api.post("/users", account, token).status_code in {401, 403}
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(User).where(User.username_key == "mine")) == 0


@pytest.mark.committed
def test_administrators_who_change_each_other_at_the_same_moment_do_not_wait_for_each_other(app: Flask) -> None:
    admins = [a_user(app, roles=["admin"]) for _ in range(2)]
    tokens = [a_session(app, user).access_token for user in admins]

    def rename(number: int, name: str) -> int:
        client = Api(app.test_client())
        return client("PATCH", f"/users/{admins[1 - number].id}", tokens[number], json={"username": name}).status_code

    for turn in range(10):
        renames = [partial(rename, number, f"name{number}-{turn}") for number in range(2)]
        assert at_once(app, *renames) == [200, 200]
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Session)) == 2


@pytest.mark.committed
def test_a_role_that_is_deleted_by_whom_it_is_given_to_at_the_same_moment_keeps_nobody_waiting(app: Flask) -> None:
    deleting, giving = (a_user(app, roles=["admin"]) for _ in range(2))
    tokens = [a_session(app, user).access_token for user in (deleting, giving)]

    def delete() -> int:
        return Api(app.test_client())("DELETE", "/roles/fleeting", tokens[0]).status_code

    def give() -> int:
        change = {"roles": ["admin", "fleeting"]}
        return Api(app.test_client())("PATCH", f"/users/{deleting.id}", tokens[1], json=change).status_code

    for _ in range(20):
        with app.app_context():
            Services.of(app).roles.create("fleeting", context=OPERATOR)
        deleted, given = at_once(app, delete, give)
        assert deleted == 204
        assert given in {200, 422}
