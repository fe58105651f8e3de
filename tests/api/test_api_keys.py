"""API keys: made once, accepted where a token is, limited, and dead on the next request."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import inspect, select, text

from api_key_calls import SOMEBODY, a_role, keys, make
from authapp import AuthApp, clock
from authapp.api.requirements import SecondFactorOfRole
from authapp.context import OPERATOR
from authapp.database.session import db
from authapp.domain.api_keys import api_keys as use_cases
from authapp.domain.services import Services
from authapp.models import ApiKey, User
from authapp.security import api_keys
from clocks import Time
from factories import (
    PASSWORD,
    Api,
    a_service,
    a_session,
    a_token,
    a_user,
    an_api_key,
    events_of,
    problem,
)
from factors import an_app

# --- making, listing, deleting ---------------------------------------------------------------------------------------


def test_a_key_is_shown_once_and_works_at_once(app: Flask, api: Api, user: User, token: str) -> None:
    made = make(api, token, expires_at=clock.rfc3339(clock.now() + timedelta(days=1)))
    key = made.pop("key")
    assert key.startswith(made["prefix"])
    assert api_keys.parse(key).user_id == user.id
    assert (made["name"], made["permissions"], made["last_used_at"]) == ("backup", None, None)
    assert keys(api, token) == [made]
    assert api.get("/users/me", key).get_json()["username"] == "ada"


def test_no_column_and_no_event_has_a_key(app: Flask, api: Api, user: User, token: str) -> None:
    made = make(api, token)
    key, secret = made["key"], made["key"][len(made["prefix"]) :]
    api.get("/users/me", key)
    api.post("/users/me/api-keys", {"name": "another"}, key)
    api.get("/users/me", f"{key[:-7]}{'0' if key[-7] != '0' else '1'}{key[-6:]}")
    api.client.delete(f"/api/v1/users/me/api-keys/{made['id']}", headers={"Authorization": f"Bearer {token}"})
    with app.app_context():
        tables = inspect(db.engine).get_table_names()
        stored = "\n".join(
            str(row) for table in tables for row in db.session.execute(text(f'SELECT "{table}"::text FROM "{table}"'))
        )
    assert str(made["id"]) in stored
    assert secret not in stored
    assert secret[:20] not in stored


def test_the_newest_key_comes_first_page_by_page(api: Api, token: str) -> None:
    made = [make(api, token, name=f"key {number}")["id"] for number in range(3)]
    page = api.get("/users/me/api-keys?limit=2", token).get_json()
    rest = api.get(f"/users/me/api-keys?limit=2&cursor={page['next_cursor']}", token).get_json()
    assert [each["id"] for each in page["items"] + rest["items"]] == made[::-1]
    assert rest["next_cursor"] is None


def test_a_cursor_of_another_user_is_refused(app: Flask, api: Api, token: str) -> None:
    for _ in range(2):
        make(api, token)
    cursor = api.get("/users/me/api-keys?limit=1", token).get_json()["next_cursor"]
    other = a_session(app, a_user(app)).access_token
    problem(api.get(f"/users/me/api-keys?cursor={cursor}", other), 422, "validation_failed")


def test_an_account_has_no_more_than_50_keys(app: Flask, api: Api, user: User, token: str) -> None:
    made = [an_api_key(app, user) for _ in range(50)]
    problem(api.post("/users/me/api-keys", {"name": "x"}, token), 409, "too_many_api_keys")
    assert api("DELETE", f"/users/me/api-keys/{api_keys.parse(made[0]).key_id}", token).status_code == 204
    assert api.post("/users/me/api-keys", {"name": "x"}, token).status_code == 201


def test_expired_keys_do_not_count_and_the_oldest_of_very_many_makes_room(
    app: Flask, api: Api, user: User, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, number in (("API_KEYS_PER_ACCOUNT", 2), ("ROWS_PER_ACCOUNT", 4)):
        monkeypatch.setattr(use_cases, name, number)
    made = []
    for _ in range(3):
        made += [an_api_key(app, user, expires_at=time.now + timedelta(hours=hours)) for hours in (2, 1)]
        with pytest.raises(use_cases.TooManyApiKeys):
            an_api_key(app, user)
        time.passes(hours=3)

    with app.app_context():
        kept = set(db.session.scalars(select(ApiKey.id)))
    ids = [api_keys.parse(key).key_id for key in made]
    assert kept == set(ids[2:])
    an_api_key(app, user)
    with app.app_context():
        # Of those that were made together, the second one expired first.
        assert ids[3] not in set(db.session.scalars(select(ApiKey.id)))


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/name"),
        ({"name": ""}, "#/name"),
        ({"name": "x" * 65}, "#/name"),
        ({"name": "evil\u202emoc"}, "#/name"),
        ({"name": "a\nb"}, "#/name"),
        ({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, "#/expires_at"),
        ({"name": "x", "expires_at": "tomorrow"}, "#/expires_at"),
        ({"name": "x", "permissions": ["no:such"]}, "#/permissions/0"),
        ({"name": "x", "user_id": str(SOMEBODY)}, "#/user_id"),
    ],
    ids=["none", "empty", "long", "direction", "lines", "past", "words", "unknown", "of another"],
)
def test_what_cannot_be_a_key_is_refused(api: Api, token: str, body: dict[str, Any], pointer: str) -> None:
    refused = problem(api.post("/users/me/api-keys", body, token), 422, "validation_failed")
    assert [error["pointer"] for error in refused["errors"]] == [pointer]


def test_nobody_gives_a_key_more_than_they_hold(app: Flask, api: Api, token: str, root: str) -> None:
    problem(
        api.post("/users/me/api-keys", {"name": "x", "permissions": ["users:read"]}, token), 403, "permission_denied"
    )
    assert make(api, root, permissions=["users:read", "users:read"])["permissions"] == ["users:read"]


def test_making_a_key_needs_a_recent_login(api: Api, token: str, time: Time) -> None:
    time.passes(seconds=301)
    problem(api.post("/users/me/api-keys", {"name": "x"}, token), 401, "step_up_required")


def test_making_a_key_of_a_service_needs_a_recent_login(app: Flask, api: Api, root: str, time: Time) -> None:
    path = f"/users/{a_service(app).id}/api-keys"
    assert api.post(path, {"name": "x"}, root).status_code == 201
    time.passes(seconds=301)
    problem(api.post(path, {"name": "x"}, root), 401, "step_up_required")


def test_a_key_of_another_user_is_not_found(app: Flask, api: Api, token: str) -> None:
    other = an_api_key(app, a_user(app))
    problem(api("DELETE", f"/users/me/api-keys/{api_keys.parse(other).key_id}", token), 404, "not_found")
    assert api.get("/ping", other).status_code == 200


def test_making_and_deleting_are_recorded(app: Flask, api: Api, user: User, token: str) -> None:
    made = make(api, token, permissions=[])
    api("DELETE", f"/users/me/api-keys/{made['id']}", token)
    created, revoked = events_of(app, user, "api_key.created", "api_key.revoked")
    assert created.details == {"api_key_id": made["id"], "name": "backup", "permissions": [], "expires_at": None}
    assert revoked.details == {"api_key_id": made["id"], "name": "backup"}
    assert created.actor_id == user.id


# --- what a key may do -----------------------------------------------------------------------------------------------


def test_a_key_without_limits_follows_its_owners_roles(app: Flask, api: Api, user: User) -> None:
    key = an_api_key(app, user)
    problem(api.get("/users", key), 403, "permission_denied")
    with app.app_context():
        Services.of(app).administration.grant("ada", a_role(app, "users:read"), OPERATOR)
    assert api.get("/users", key).status_code == 200
    assert api.get("/users/me", key).get_json()["roles"] == ["helper"]


def test_a_limited_key_may_do_what_it_and_its_owner_may(app: Flask, api: Api) -> None:
    admin = a_user(app, roles=["admin"])
    key = an_api_key(app, admin, permissions=["users:read"])
    assert api.get("/users", key).status_code == 200
    problem(api.get("/roles", key), 403, "permission_denied")
    problem(api("DELETE", f"/users/{SOMEBODY}", key), 403, "permission_denied")
    with app.app_context():
        Services.of(app).administration.grant(a_user(app, "second").username, "admin", OPERATOR)
        Services.of(app).administration.revoke(admin.username, "admin", OPERATOR)
    problem(api.get("/users", key), 403, "permission_denied")


def test_a_limited_key_has_no_roles_for_others_to_go_by(app: Flask, api: Api) -> None:
    admin = a_user(app, roles=["admin"])
    limited, whole = an_api_key(app, admin, permissions=["users:read"]), an_api_key(app, admin)
    assert api.get("/auth/verify", limited).headers["X-Auth-Roles"] == ""
    assert api.get("/auth/verify", whole).headers["X-Auth-Roles"] == "admin"


def test_a_limited_key_grants_no_more_than_it_may_itself(app: Flask, api: Api) -> None:
    a_role(app, "roles:read")
    key = an_api_key(app, a_user(app, roles=["admin"]), permissions=["users:write"])
    body = {"username": "new", "email": "new@example.com", "password": PASSWORD, "roles": ["helper"]}
    problem(api.post("/users", body, key), 403, "permission_denied")
    problem(api.post("/users", {**body, "roles": ["admin"]}, key), 403, "permission_denied")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/users/me/api-keys", {"name": "x"}),
        ("DELETE", "/users/me", {"password": PASSWORD}),
        ("PUT", "/users/me/password", {"current_password": PASSWORD, "new_password": "another long sentence"}),
        ("POST", "/auth/logout", None),
        ("POST", "/auth/step-ups", {"password": PASSWORD}),
        ("POST", "/users/me/totp", {}),
        ("DELETE", "/users/me/totp", {}),
        ("POST", "/users/me/recovery-codes", {}),
        ("POST", "/users/me/passkeys", {}),
        ("DELETE", f"/users/me/passkeys/{SOMEBODY}", {}),
        ("PATCH", f"/users/me/passkeys/{SOMEBODY}", {"name": "x"}),
        ("PUT", "/users/me/email", {"email": "new@example.com", "password": PASSWORD}),
        ("POST", f"/users/{SOMEBODY}/api-keys", {"name": "x"}),
        ("PUT", f"/users/{SOMEBODY}/password", {}),
        ("DELETE", f"/users/{SOMEBODY}/factors", {}),
    ],
)
def test_a_key_never_stands_for_a_login(app: Flask, api: Api, method: str, path: str, body: Any) -> None:
    key = an_api_key(app, a_user(app, roles=["admin"]))
    problem(api(method, path, key, **({} if body is None else {"json": body})), 403, "permission_denied")


def test_a_key_is_no_refresh_token(app: Flask, api: Api, user: User) -> None:
    key = an_api_key(app, user)
    problem(api.post("/auth/refresh", {"refresh_token": key}), 401, "token_invalid")


def test_a_key_needs_no_second_factor_that_a_role_asks_for(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = a_user(app, roles=["admin"])
    monkeypatch.setattr(AuthApp.of(app), "requirements", [SecondFactorOfRole(frozenset({"admin"}))])
    problem(api.get("/ping", a_session(app, admin).access_token), 403, "second_factor_enrolment_required")
    assert api.get("/ping", an_api_key(app, admin)).status_code == 200


def test_what_a_key_did_is_recorded_with_the_key(app: Flask, api: Api) -> None:
    admin = a_user(app, roles=["admin"])
    key, other = an_api_key(app, admin), a_user(app)
    assert api("PATCH", f"/users/{other.id}", key, json={"status": "disabled"}).status_code == 200
    (event,) = events_of(app, other, "user.disabled")
    assert (event.actor_id, event.session_id) == (admin.id, None)
    assert event.details == {"by_api_key": str(api_keys.parse(key).key_id)}


# --- dead on the next request ----------------------------------------------------------------------------------------


def test_a_deleted_key_is_refused(app: Flask, api: Api, user: User, token: str) -> None:
    key = an_api_key(app, user)
    assert api.get("/ping", key).status_code == 200
    api("DELETE", f"/users/me/api-keys/{api_keys.parse(key).key_id}", token)
    problem(api.get("/ping", key), 401, "token_invalid")


def test_an_expired_key_is_refused(app: Flask, api: Api, user: User, time: Time) -> None:
    key = an_api_key(app, user, expires_at=time.now + timedelta(hours=1))
    time.passes(seconds=3599)
    assert api.get("/ping", key).status_code == 200
    time.passes(seconds=1)
    problem(api.get("/ping", key), 401, "token_expired")


def test_a_key_of_a_disabled_owner_is_refused_until_the_owner_is_enabled(app: Flask, api: Api, user: User) -> None:
    key = an_api_key(app, user)
    with app.app_context():
        Services.of(app).administration.disable("ada", OPERATOR)
    problem(api.get("/ping", key), 401, "token_revoked")
    with app.app_context():
        Services.of(app).administration.enable("ada", OPERATOR)
    assert api.get("/ping", key).status_code == 200


def test_a_key_of_a_deleted_owner_is_refused(app: Flask, api: Api, user: User) -> None:
    key = an_api_key(app, user)
    with app.app_context():
        Services.of(app).administration.delete("ada", OPERATOR)
    problem(api.get("/ping", key), 401, "token_invalid")


def test_a_key_with_another_secret_is_refused(app: Flask, api: Api, user: User) -> None:
    ids = api_keys.parse(an_api_key(app, user))
    problem(api.get("/ping", api_keys.generate(ids.user_id, ids.key_id)), 401, "token_invalid")


def test_a_logout_everywhere_and_a_new_password_leave_keys_alone(app: Flask, api: Api, user: User, token: str) -> None:
    key = an_api_key(app, user)
    api(
        "PUT", "/users/me/password", token, json={"current_password": PASSWORD, "new_password": "another long sentence"}
    )
    api.post("/auth/logout?scope=global", token=token)
    assert api.get("/ping", key).status_code == 200


def test_whoever_prepared_an_account_loses_its_keys(app: Flask, api: Api, user: User) -> None:
    key = an_api_key(app, user)
    reset = {"token": a_token(app, user), "new_password": "another long sentence"}
    assert api("PUT", "/auth/password-resets", json=reset).status_code == 204
    problem(api.get("/ping", key), 401, "token_invalid")
    assert [event.details["name"] for event in events_of(app, user, "api_key.revoked")] == ["tests"]


def test_a_verified_owner_keeps_the_keys_after_a_reset(app: Flask, api: Api, user: User) -> None:
    key = an_api_key(app, user)
    with app.app_context():
        Services.of(app).email.verifications.mark("ada", OPERATOR)
    reset = {"token": a_token(app, user), "new_password": "another long sentence"}
    assert api("PUT", "/auth/password-resets", json=reset).status_code == 204
    assert api.get("/ping", key).status_code == 200


def test_a_refused_key_is_recorded_once_an_hour(app: Flask, api: Api, user: User, time: Time) -> None:
    key = an_api_key(app, user, expires_at=time.now + timedelta(hours=1))
    time.passes(hours=2)
    for _ in range(3):
        problem(api.get("/ping", key), 401, "token_expired")
    (event,) = events_of(app, user, "api_key.refused")
    assert event.details == {"api_key_id": str(api_keys.parse(key).key_id), "reason": "expired"}
    time.passes(minutes=59)
    api.get("/ping", key)
    assert len(events_of(app, user, "api_key.refused")) == 1
    time.passes(minutes=1)
    api.get("/ping", key)
    assert len(events_of(app, user, "api_key.refused")) == 2


def test_expired_keys_are_pruned_after_a_month(app: Flask, user: User, time: Time) -> None:
    expiring, lasting = an_api_key(app, user, expires_at=time.now + timedelta(hours=1)), an_api_key(app, user)
    time.passes(days=30)
    with app.app_context():
        assert Services.of(app).pruning.prune()["api_keys"] == 0
        time.passes(hours=2)
        assert Services.of(app).pruning.prune()["api_keys"] == 1
        assert db.session.scalars(select(ApiKey.id)).all() == [api_keys.parse(lasting).key_id]
    assert expiring != lasting


# --- use and limits --------------------------------------------------------------------------------------------------


def test_whoever_has_a_second_factor_proves_it_before_making_a_service_key(app: Flask, api: Api) -> None:
    admin, service = a_user(app, roles=["admin"]), a_service(app, "robot")
    before = a_session(app, admin).access_token
    an_app(app, admin)
    problem(api.post(f"/users/{service.id}/api-keys", {"name": "x"}, before), 401, "step_up_required")
