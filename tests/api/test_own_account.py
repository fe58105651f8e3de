"""What users change of their own account."""

import pytest
from flask import Flask

from authapp.models import User
from factories import PASSWORD, Api, a_session, a_user, problem

NEW = "another long sentence"


@pytest.fixture
def user(app: Flask) -> User:
    return a_user(app, "Ada")


def test_a_new_password_ends_every_other_session(app: Flask, api: Api, user: User) -> None:
    here, there = a_session(app, user), a_session(app, user)
    change = {"current_password": PASSWORD, "new_password": NEW}
    response = api("PUT", "/users/me/password", here.access_token, json=change)
    assert (response.status_code, response.data) == (204, b"")
    assert api.get("/ping", here.access_token).status_code == 200
    assert api.post("/auth/refresh", token=here.refresh_token).status_code == 200
    problem(api.get("/ping", there.access_token), 401, "token_revoked")
    problem(api.post("/auth/refresh", token=there.refresh_token), 401, "token_revoked")
    problem(api.log_in("ada", PASSWORD), 401, "invalid_credentials")
    assert api.log_in("ada", NEW).status_code == 200


def test_a_wrong_current_password_changes_nothing(api: Api, token: str) -> None:
    change = {"current_password": "wrong", "new_password": NEW}
    problem(api("PUT", "/users/me/password", token, json=change), 403, "wrong_password")
    problem(api("DELETE", "/users/me", token, json={"password": "wrong"}), 403, "wrong_password")
    assert api.log_in("ada", PASSWORD).status_code == 200


@pytest.mark.parametrize("new", ["short", "password1", "i-am-Ada-himself"])
def test_the_new_password_keeps_the_rules(api: Api, token: str, new: str) -> None:
    change = {"current_password": PASSWORD, "new_password": new}
    body = problem(api("PUT", "/users/me/password", token, json=change), 422, "password_rejected")
    assert {error["pointer"] for error in body["errors"]} == {"#/new_password"}


def test_a_user_is_renamed(app: Flask, api: Api, token: str) -> None:
    before = api.get("/users/me", token).get_json()
    after = api("PATCH", "/users/me", token, json={"username": "Countess"}).get_json()
    assert after == before | {"username": "Countess", "updated_at": after["updated_at"]}
    assert after["updated_at"] > before["updated_at"]
    assert api.get("/users/me", token).get_json() == after
    assert api.log_in("countess").status_code == 200
    problem(api.log_in("ada"), 401, "invalid_credentials")
    assert api("PATCH", "/users/me", token, json={"username": "COUNTESS"}).status_code == 200
    assert api("PATCH", "/users/me", token, json={}).get_json()["username"] == "COUNTESS"


def test_a_name_that_is_taken_or_none_is_refused(app: Flask, api: Api, token: str) -> None:
    a_user(app, "Grace")
    problem(api("PATCH", "/users/me", token, json={"username": "gRACE"}), 409, "username_taken")
    problem(api("PATCH", "/users/me", token, json={"username": "x"}), 422, "validation_failed")
    for field in ("email", "status", "roles", "id", "password"):
        problem(api("PATCH", "/users/me", token, json={field: "x"}), 422, "validation_failed")


def test_an_account_is_deleted_with_all_that_belongs_to_it(app: Flask, api: Api, user: User, token: str) -> None:
    other = a_session(app, user)
    response = api("DELETE", "/users/me", token, json={"password": PASSWORD})
    assert (response.status_code, response.data) == (204, b"")
    problem(api.get("/ping", token), 401, "token_invalid")
    problem(api.post("/auth/refresh", token=other.refresh_token), 401, "token_invalid")
    problem(api.log_in("ada"), 401, "invalid_credentials")
    assert (
        api.post("/auth/register", {"username": "ada", "email": "ada@example.com", "password": NEW}).status_code == 201
    )


def test_deleting_takes_a_token_that_comes_from_a_login(app: Flask, api: Api, user: User) -> None:
    stale = api.post("/auth/refresh", token=a_session(app, user).refresh_token).get_json()["access_token"]
    response = api("DELETE", "/users/me", stale, json={"password": PASSWORD})
    problem(response, 401, "fresh_token_required")
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]
    assert api.get("/ping", stale).status_code == 200
