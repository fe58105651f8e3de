"""POST /auth/register."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from authapp import create_app
from authapp.database.session import db
from authapp.models import User
from factories import PASSWORD, Api, a_user, problem
from settings import settings

ADA = {"username": "Ada", "email": "ada@example.com", "password": PASSWORD}


def test_a_guest_becomes_a_user(api: Api) -> None:
    response = api.post("/auth/register", ADA)
    user = response.get_json()
    assert response.status_code == 201
    assert response.headers["Location"] == f"/api/v1/users/{user['id']}"
    assert list(user) == [
        "id", "kind", "username", "email", "email_verified_at", "status", "roles", "created_at", "updated_at",
        "last_login_at",
    ]  # fmt: skip
    assert (user["username"], user["email"], user["status"]) == ("Ada", "ada@example.com", "active")
    assert (user["roles"], user["email_verified_at"], user["last_login_at"]) == ([], None, None)
    assert user["created_at"].endswith("Z")


def test_the_password_is_kept_only_as_an_argon2id_hash(app: Flask, api: Api) -> None:
    response = api.post("/auth/register", ADA)
    assert PASSWORD not in response.text
    assert "password" not in response.text
    with app.app_context():
        stored = db.session.scalars(select(User.password_hash).where(User.username_key == "ada")).one()
    assert stored.startswith("$argon2id$v=19$")
    assert PASSWORD not in stored


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"email": "other@example.com"}, "username_taken"),
        ({"email": "other@example.com", "username": "aDA"}, "username_taken"),
        ({"username": "other"}, "email_taken"),
        ({"username": "other", "email": "ADA@EXAMPLE.COM"}, "email_taken"),
    ],
)
def test_a_name_is_taken_in_any_letter_case(app: Flask, api: Api, change: dict[str, str], code: str) -> None:
    a_user(app, "Ada")
    problem(api.post("/auth/register", ADA | change), 409, code)


@pytest.mark.parametrize(
    ("change", "pointers"),
    [
        ({"username": "ab"}, {"#/username"}),
        ({"username": "x" * 33}, {"#/username"}),
        ({"username": ".dot"}, {"#/username"}),
        ({"username": "with space"}, {"#/username"}),
        ({"username": "ada\n"}, {"#/username"}),
        ({"username": "\u0430da"}, {"#/username"}),  # a Cyrillic letter that looks Latin
        ({"username": "a@example.com"}, {"#/username"}),
        ({"email": "nobody"}, {"#/email"}),
        ({"email": "a@b"}, {"#/email"}),
        ({"email": f"{'x' * 250}@example.com"}, {"#/email"}),
        ({"email": "a@example.com\r\nBcc: b@example.com"}, {"#/email"}),
        ({"username": "", "email": ""}, {"#/username", "#/email"}),
        ({"username": 7}, {"#/username"}),
        ({"email": None}, {"#/email"}),
        ({"password": ["x"]}, {"#/password"}),
        ({"role": "admin"}, {"#/role"}),
        ({"is_admin": True, "id": "x"}, {"#/is_admin", "#/id"}),
        ({"a/b~c": 1}, {"#/a~1b~0c"}),
    ],
)
def test_each_field_that_is_wrong_is_named(api: Api, change: dict[str, Any], pointers: set[str]) -> None:
    body = problem(api.post("/auth/register", ADA | change), 422, "validation_failed")
    assert {error["pointer"] for error in body["errors"]} == pointers


def test_missing_fields_are_named(api: Api) -> None:
    body = problem(api.post("/auth/register", {}), 422, "validation_failed")
    assert {error["pointer"] for error in body["errors"]} == {"#/username", "#/email", "#/password"}


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("tiny!", "fewer than 8"),
        ("x" * 129, "more than 128"),
        ("PASSWORD1", "most common"),
        ("my-ADA-secret", "the username"),
        ("lovelace.1815!", "the name in the email address"),
    ],
)
def test_a_password_is_rejected_with_the_reason(api: Api, password: str, reason: str) -> None:
    account = {"username": "ada", "email": "lovelace@example.com", "password": password}
    body = problem(api.post("/auth/register", account), 422, "password_rejected")
    assert [error["pointer"] for error in body["errors"]] == ["#/password"]
    assert reason in body["errors"][0]["detail"]
    assert password not in str(body)


@pytest.mark.parametrize("password", ["onlyletters", " " * 8 + "x", "🔑" * 8, "pässwörtér", "é" * 128])
def test_any_characters_are_welcome(api: Api, password: str) -> None:
    assert api.post("/auth/register", ADA | {"password": password}).status_code == 201
    assert api.log_in("ada", password).status_code == 200
    assert api.log_in("ada", password.strip()).status_code == (200 if password == password.strip() else 401)


def test_a_difference_after_byte_72_is_a_difference(api: Api) -> None:
    assert api.post("/auth/register", ADA | {"password": "x" * 100}).status_code == 201
    problem(api.log_in("ada", "x" * 99 + "y"), 401, "invalid_credentials")


def test_registration_can_be_closed(shared_app: Flask) -> None:
    closed = create_app(settings(database_url="postgresql+psycopg2:///nowhere", registration="closed"))
    problem(Api(closed.test_client()).post("/auth/register", ADA), 403, "registration_closed")
