"""API keys that are presented to other services: forward auth, introspection and revocation."""

from datetime import timedelta

from flask import Flask

from api_key_calls import a_role
from authapp.domain.services import Services
from authapp.models import User
from authapp.security import api_keys
from clocks import Time
from factories import (
    Api,
    a_service,
    a_session,
    a_user,
    an_api_key,
    key_token,
    problem,
)


def test_a_proxy_lets_a_key_through(app: Flask, api: Api) -> None:
    service = a_service(app, "reports")
    answer = api.get("/auth/verify", an_api_key(app, service))
    assert answer.status_code == 204
    assert answer.headers["X-Auth-User-Id"] == str(service.id)
    for name in ("Session-Id", "Amr", "Acr", "Time"):
        assert answer.headers[f"X-Auth-{name}"] == "", "nobody has logged in"


def test_a_proxy_learns_which_key_it_is_and_what_it_may_do(app: Flask, api: Api) -> None:
    key = an_api_key(app, a_user(app, roles=["admin"]), permissions=["users:read", "roles:read"])
    for presented in (key, key_token(api, key)):
        headers = api.get("/auth/verify", presented).headers
        assert headers["X-Auth-Api-Key-Id"] == str(api_keys.parse(key).key_id)
        assert headers["X-Auth-Scope"] == "roles:read users:read"


def test_a_key_is_introspected_like_a_token(app: Flask, api: Api, root: str, time: Time) -> None:
    service = a_service(app, "reports", roles=[a_role(app, "users:read")])
    key = an_api_key(app, service, permissions=["users:read", "roles:read"], expires_at=time.now + timedelta(hours=1))
    seen = api.post("/auth/introspect", token=root, data={"token": key}).get_json()
    assert seen["active"] is True
    assert (seen["sub"], seen["username"], seen["scope"]) == (str(service.id), "reports", "users:read")
    assert (seen["roles"], seen["client_id"]) == ([], key[: api_keys.PREFIX_LENGTH])
    assert seen["type"] == "access", "whoever checks it lets keys in"
    assert seen["exp"] == int((time.now + timedelta(hours=1)).timestamp())
    time.passes(hours=1)
    root = a_session(app, a_user(app, roles=["admin"])).access_token
    for dead in (key, key[:-1] + ("0" if key[-1] != "0" else "1"), "ak_x"):
        assert api.post("/auth/introspect", token=root, data={"token": dead}).get_json() == {"active": False}


def test_a_key_is_revoked_by_who_has_it(app: Flask, api: Api, user: User, token: str) -> None:
    key, other = an_api_key(app, user), an_api_key(app, a_user(app))
    for each in (other, key, key, "ak_x"):
        assert api.post("/auth/revoke", token=token, data={"token": each}).status_code == 200
    problem(api.get("/ping", key), 401, "token_invalid")
    assert api.get("/ping", other).status_code == 200


def test_a_key_that_another_service_introspects_is_used(app: Flask, api: Api, user: User) -> None:
    asker = an_api_key(app, a_user(app, roles=["admin"]))
    key, used = an_api_key(app, user), Services.of(app).used_api_keys
    used.take()
    assert api.post("/auth/introspect", data={"token": key}, token=asker).get_json()["active"]
    assert (user.id, api_keys.parse(key).key_id) in used.take()
