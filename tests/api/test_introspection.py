"""For other services: verify, introspect, revoke."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import update

from api_key_calls import SOMEBODY
from authapp import AuthApp, RequestContext, clock
from authapp.context import OPERATOR
from authapp.database.session import db
from authapp.domain.services import Services
from authapp.domain.sessions.token_pairs import TokenPair
from authapp.models import User
from factories import Api, a_session, a_user, problem


@pytest.fixture
def user(app: Flask) -> User:
    return a_user(app, "Ada")


@pytest.fixture
def pair(app: Flask, user: User) -> TokenPair:
    return a_session(app, user)


@pytest.fixture
def service(app: Flask) -> str:
    return a_session(app, a_user(app, roles=["admin"])).access_token


def introspect(api: Api, service: str, token: str) -> dict[str, object]:
    response = api.post("/auth/introspect", token=service, data={"token": token})
    assert response.status_code == 200
    body: dict[str, object] = response.get_json()
    return body


def test_a_proxy_learns_whose_request_it_is(app: Flask, api: Api, user: User, pair: TokenPair) -> None:
    response = api.get("/auth/verify", pair.access_token)
    assert (response.status_code, response.data) == (204, b"")
    claims = Services.of(app).tokens.read(pair.access_token)
    seen = {name: value for name, value in response.headers if name.startswith("X-Auth")}
    assert seen == {
        "X-Auth-User-Id": str(user.id),
        "X-Auth-Username": "Ada",
        "X-Auth-Roles": "",
        "X-Auth-Session-Id": claims["sid"],
        "X-Auth-Email-Verified": "false",
        "X-Auth-Amr": "pwd",
        "X-Auth-Acr": "sfa",
        "X-Auth-Time": str(claims["auth_time"]),
        "X-Auth-Api-Key-Id": "",
        "X-Auth-Scope": "",
    }
    with app.app_context():
        Services.of(app).administration.grant("ada", "admin", OPERATOR)
    assert api.get("/auth/verify", pair.access_token).headers["X-Auth-Roles"] == "admin"
    problem(api.get("/auth/verify"), 401, "token_missing")


def test_other_services_learn_on_the_next_request_that_the_address_is_verified(
    app: Flask, api: Api, service: str, pair: TokenPair
) -> None:
    with app.app_context():
        db.session.execute(update(User).values(email_verified_at=clock.now()))
        db.session.commit()
    assert api.get("/auth/verify", pair.access_token).headers["X-Auth-Email-Verified"] == "true"
    assert introspect(api, service, pair.access_token)["email_verified"] is True


@pytest.mark.parametrize("kind", ["access", "refresh"])
def test_a_live_token_is_active(app: Flask, api: Api, service: str, user: User, pair: TokenPair, kind: str) -> None:
    token = getattr(pair, f"{kind}_token")
    claims = Services.of(app).tokens.read(token)
    expected = {name: value for name, value in claims.items() if name != "fresh"}
    expected |= {"active": True, "token_type": "Bearer", "username": "Ada", "roles": [], "email_verified": False}
    assert introspect(api, service, token) == expected


def test_of_a_dead_token_nothing_is_disclosed(app: Flask, api: Api, service: str, pair: TokenPair) -> None:
    old = pair.refresh_token
    second = api.post("/auth/refresh", token=old).get_json()["refresh_token"]
    assert introspect(api, service, old)["active"] is True, "its holder may still retry"
    third = api.post("/auth/refresh", token=second).get_json()["refresh_token"]
    for dead in (old, "", "x", "a.b.c", pair.access_token[:-2], "\u00e9", "\0"):
        assert introspect(api, service, dead) == {"active": False}
    assert introspect(api, service, third)["active"] is True, "asking about a reused token ends nothing"
    api.post("/auth/logout", token=pair.access_token)
    for dead in (pair.access_token, third):
        assert introspect(api, service, dead) == {"active": False}


def test_an_expired_token_is_not_active(
    app: Flask, api: Api, service: str, pair: TokenPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = clock.now() + timedelta(minutes=20)
    monkeypatch.setattr(clock, "now", lambda: later)
    fresh_service = a_session(app, a_user(app, roles=["admin"])).access_token
    assert introspect(api, fresh_service, pair.access_token) == {"active": False}


def test_introspection_takes_the_permission_and_counts_at_once(app: Flask, api: Api, pair: TokenPair) -> None:
    a_user(app, roles=["admin"])

    def ask() -> object:
        return api.post("/auth/introspect", token=pair.access_token, data={"token": "x"})

    problem(ask(), 403, "permission_denied")  # type: ignore[arg-type]
    with app.app_context():
        Services.of(app).administration.grant("ada", "admin", OPERATOR)
    assert ask().status_code == 200  # type: ignore[attr-defined]
    with app.app_context():
        Services.of(app).administration.revoke("ada", "admin", OPERATOR)
    problem(ask(), 403, "permission_denied")  # type: ignore[arg-type]


def test_a_refresh_token_is_revoked_with_its_session(api: Api, pair: TokenPair) -> None:
    answer = api.post("/auth/revoke", token=pair.access_token, data={"token": pair.refresh_token})
    assert (answer.status_code, answer.data) == (200, b"")
    problem(api.get("/ping", pair.access_token), 401, "token_revoked")
    problem(api.post("/auth/refresh", token=pair.refresh_token), 401, "token_revoked")


def test_an_access_token_is_revoked_alone(app: Flask, api: Api, user: User, pair: TokenPair) -> None:
    other = a_session(app, user)
    for _ in range(2):
        answer = api.post("/auth/revoke", token=other.access_token, data={"token": pair.access_token})
        assert answer.status_code == 200
    problem(api.get("/ping", pair.access_token), 401, "token_revoked")
    assert api.post("/auth/refresh", token=pair.refresh_token).status_code == 200


def test_revoking_what_is_unknown_or_anothers_does_nothing(app: Flask, api: Api, pair: TokenPair) -> None:
    victim = a_session(app, a_user(app))
    for token in (victim.access_token, victim.refresh_token, "x", "", "a.b.c"):
        answer = api.post("/auth/revoke", token=pair.access_token, data={"token": token, "token_type_hint": "x"})
        assert answer.status_code == 200
    assert api.get("/ping", victim.access_token).status_code == 200
    assert api.post("/auth/refresh", token=victim.refresh_token).status_code == 200


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ({"json": {"token": "x"}}, 415, "unsupported_media_type"),
        ({"data": b"token=x", "content_type": "text/plain"}, 415, "unsupported_media_type"),
        ({"data": {}}, 422, "validation_failed"),
        ({"data": b"", "content_type": "text/plain"}, 422, "validation_failed"),
        ({"data": {"tokn": "x"}}, 422, "validation_failed"),
        ({"data": {"token": ["x", "y"]}}, 400, "malformed_request"),
        ({"data": b"token=\xff", "content_type": "application/x-www-form-urlencoded"}, 400, "malformed_request"),
        ({"data": b"token=%ff", "content_type": "application/x-www-form-urlencoded"}, 400, "malformed_request"),
        ({"data": b"a&" * 5_000, "content_type": "application/x-www-form-urlencoded"}, 400, "malformed_request"),
        ({"data": b"x" * 70_000, "content_type": "application/x-www-form-urlencoded"}, 413, "payload_too_large"),
    ],
)
@pytest.mark.parametrize("path", ["/auth/introspect", "/auth/revoke"])
def test_the_form_is_read_strictly(
    api: Api, service: str, path: str, options: dict[str, object], status: int, code: str
) -> None:
    problem(api("POST", path, service, **options), status, code)


class BadgeKind:
    """Tokens of another package."""

    def __init__(self) -> None:
        self.revoked: list[tuple[str, UUID]] = []

    def recognizes(self, token: str) -> bool:
        return token.startswith("badge-")

    def introspect(self, token: str) -> dict[str, Any] | None:
        return {"sub": SOMEBODY, "scope": "doors"} if token == "badge-7" else None

    def revoke(self, token: str, user_id: UUID, context: RequestContext) -> None:
        self.revoked.append((token, user_id))


def test_tokens_of_another_package_are_introspected_and_revoked(
    app: Flask, api: Api, service: str, user: User, pair: TokenPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, extension = BadgeKind(), AuthApp.of(app)
    monkeypatch.setattr(extension, "token_kinds", [kind, *extension.token_kinds])
    seen = introspect(api, service, "badge-7")
    assert (seen["active"], seen["sub"], seen["scope"]) == (True, str(SOMEBODY), "doors")
    assert introspect(api, service, "badge-8") == {"active": False}
    assert api.post("/auth/revoke", token=pair.access_token, data={"token": "badge-7"}).status_code == 200
    assert kind.revoked == [("badge-7", user.id)]
    assert introspect(api, service, pair.access_token)["active"] is True


@pytest.mark.parametrize(("encoding", "status"), [("identity", 200), ("Identity", 200), ("gzip", 415)])
def test_a_form_may_say_that_it_is_not_compressed(api: Api, service: str, encoding: str, status: int) -> None:
    headers = {"Content-Encoding": encoding}
    assert api.post("/auth/introspect", token=service, data={"token": "x"}, headers=headers).status_code == status
