"""Service accounts: they have API keys and nothing else."""

from typing import Any

import pytest
from flask import Flask

from api_key_calls import SOMEBODY, a_role, keys, make
from authapp.context import OPERATOR
from authapp.domain.services import Services
from authapp.errors import ServiceAccount
from authapp.models import User
from authapp.security import api_keys
from factories import (
    PASSWORD,
    Api,
    a_service,
    a_session,
    a_user,
    an_api_key,
    events_of,
    problem,
)


def test_a_service_account_has_keys_and_nothing_else(app: Flask, api: Api, root: str) -> None:
    made = api.post("/users", {"username": "reports", "kind": "service"}, root)
    assert made.status_code == 201
    account = made.get_json()
    assert (account["kind"], account["email"], account["email_verified_at"]) == ("service", None, None)
    path = f"/users/{account['id']}/api-keys"
    key = make(api, root, path)
    assert api.get("/users/me", key["key"]).get_json()["kind"] == "service"
    assert [each["id"] for each in keys(api, root, path)] == [key["id"]]
    # Rotation: two keys at once, and the old one goes last.
    second = make(api, root, path)
    assert api("DELETE", f"{path}/{key['id']}", root).status_code == 204
    problem(api.get("/ping", key["key"]), 401, "token_invalid")
    assert api.get("/ping", second["key"]).status_code == 200


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"kind": "service", "email": "x@example.com"}, ["#/email"]),
        ({"kind": "service", "password": PASSWORD}, ["#/password"]),
        ({"kind": "person"}, ["#/email", "#/password"]),
        ({}, ["#/email", "#/password"]),
        ({"kind": "robot"}, ["#/kind"]),
    ],
)
def test_an_account_has_what_its_kind_has(api: Api, root: str, body: dict[str, Any], pointers: list[str]) -> None:
    refused = problem(api.post("/users", {"username": "reports", **body}, root), 422, "validation_failed")
    assert [error["pointer"] for error in refused["errors"]] == pointers


def test_nobody_logs_in_to_a_service_account_or_locks_it(app: Flask, api: Api) -> None:
    service = a_service(app, "reports")
    for _ in range(20):
        response = api.log_in("reports", PASSWORD)
        assert response.status_code in {401, 429}
    assert events_of(app, service, "login.refused", "user.locked") == []
    assert api.get("/ping", an_api_key(app, service)).status_code == 200


def test_a_service_account_gets_no_password_and_no_address(app: Flask, api: Api, root: str) -> None:
    service = a_service(app)
    with app.app_context():
        for refused_use in (
            lambda: Services.of(app).email.forced_resets.force(service.id, OPERATOR),
            lambda: Services.of(app).administration.set_password(service.id, PASSWORD, OPERATOR),
            lambda: Services.of(app).email.password_resets.store(service.id, OPERATOR),
            lambda: Services.of(app).email.verifications.mark(service.id, OPERATOR),
        ):
            with pytest.raises(ServiceAccount):
                refused_use()
    refused = problem(
        api("PATCH", f"/users/{service.id}", root, json={"email": "x@example.com"}), 422, "validation_failed"
    )
    assert [error["pointer"] for error in refused["errors"]] == ["#/email"]
    key = an_api_key(app, service)
    wanted = {"current_password": PASSWORD, "new_password": "another long sentence"}
    problem(api("PUT", "/users/me/password", key, json=wanted), 403, "permission_denied")


def test_an_administrator_makes_no_key_of_a_person_but_deletes_one(app: Flask, api: Api, user: User, root: str) -> None:
    problem(api.post(f"/users/{user.id}/api-keys", {"name": "x"}, root), 403, "permission_denied")
    key = an_api_key(app, user)
    path = f"/users/{user.id}/api-keys"
    assert [each["prefix"] for each in keys(api, root, path)] == [key[: api_keys.PREFIX_LENGTH]]
    assert api("DELETE", f"{path}/{api_keys.parse(key).key_id}", root).status_code == 204
    problem(api.get("/ping", key), 401, "token_invalid")


def test_who_manages_less_makes_and_deletes_no_key_of_an_administrator(app: Flask, api: Api) -> None:
    helper = a_session(app, a_user(app, roles=[a_role(app, "users:write")])).access_token
    service = a_service(app, roles=["admin"])
    path = f"/users/{service.id}/api-keys"
    problem(api.post(path, {"name": "x"}, helper), 403, "permission_denied")
    key_id = api_keys.parse(an_api_key(app, service)).key_id
    problem(api("DELETE", f"{path}/{key_id}", helper), 403, "permission_denied")
    plain = f"/users/{a_service(app).id}/api-keys"
    problem(api.post(plain, {"name": "x", "permissions": ["roles:read"]}, helper), 403, "permission_denied")
    assert api.post(plain, {"name": "x"}, helper).status_code == 201


def test_keys_of_nobody_are_not_found(api: Api, root: str) -> None:
    path = f"/users/{SOMEBODY}/api-keys"
    problem(api.get(path, root), 404, "not_found")
    problem(api.post(path, {"name": "x"}, root), 404, "not_found")
    problem(api("DELETE", f"{path}/{SOMEBODY}", root), 404, "not_found")
