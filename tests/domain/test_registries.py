"""What a developer registers in a module of their own works like what the package registers itself."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from flask import Blueprint, Flask
from sqlalchemy import func, select

from authapp import (
    AuthApp,
    RateLimit,
    audit,
    clock,
    create_app,
    event_types,
    limited,
    password_checks,
    permissions,
    public,
    rate_limits,
    requires,
    token_claims,
    transaction,
)
from authapp.cli.audit import audit as audit_commands
from authapp.config import Settings, SettingsError
from authapp.context import OPERATOR
from authapp.database.session import db
from authapp.domain.passwords.checks import NewPassword
from authapp.domain.services import Services
from authapp.domain.sessions.token_claims import MAX_BYTES, extra_claims
from authapp.domain.sessions.token_pairs import TokenPair
from authapp.errors import PasswordRejected
from authapp.models import AuditEvent, Session, User
from authapp.models.role import ADMIN
from authapp.registry import Registry
from authapp.security import identifiers
from conftest import dispose
from databases import Databases
from factories import PASSWORD, Api, a_session, a_user, problem
from settings import settings


class Registering:
    """Registers for the time of a test."""

    def __init__(self) -> None:
        self._made: list[tuple[Registry[Any], str]] = []

    def __call__(self, registry: Registry[Any], name: str, value: Any) -> str:
        self._made.append((registry, name))
        return registry.register(name, value)

    def undo(self) -> None:
        for registry, name in self._made:
            registry.unregister(name)


@pytest.fixture
def register() -> Iterator[Registering]:
    registering = Registering()
    yield registering
    registering.undo()


@pytest.fixture
def admin(app: Flask) -> str:
    return a_session(app, a_user(app, roles=[ADMIN])).access_token


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


# --- permissions -----------------------------------------------------------------------------------------------------


def test_a_view_cannot_ask_for_a_permission_that_is_not_registered() -> None:
    with pytest.raises(KeyError, match="no permission 'nope:read': register it before it is used"):
        requires("nope:read")


def test_a_role_cannot_hold_a_permission_that_is_not_registered(api: Api, admin: str) -> None:
    body = {"name": "readers", "permissions": ["nope:read"]}
    problem(api.post("/roles", body, admin), 422, "validation_failed")


def test_a_registered_permission_can_be_given_and_asked_for(databases: Databases, register: Registering) -> None:
    name = register(permissions, "notes:read", "Read everybody's notes.")
    blueprint = Blueprint("notes", __name__)

    @blueprint.get("/notes")
    @requires(name)
    def list_notes() -> Any:
        return {"items": []}

    with databases.migrated() as url:
        app = create_app(settings(database_url=url))
        AuthApp.of(app).register_blueprint(blueprint)
        api, admin = Api(app.test_client()), a_session(app, a_user(app, roles=[ADMIN])).access_token
        body = {"name": "readers", "permissions": [name]}
        assert api.post("/roles", body, admin).status_code == 201
        reader, other = (a_session(app, a_user(app, roles=roles)).access_token for roles in (["readers"], []))
        answers = [app.test_client().get("/notes", headers=bearer(token)) for token in (reader, admin, other)]
        assert [answer.status_code for answer in answers] == [200, 200, 403]
        enums = [
            schema["properties"]["permissions"]["items"]["enum"]
            for schema in json.loads(AuthApp.of(app).openapi.json)["components"]["schemas"].values()
            if "enum" in schema.get("properties", {}).get("permissions", {}).get("items", {})
        ]
        assert len(enums) == 2
        assert all(enum == list(permissions) and name in enum for enum in enums)
        dispose(app)


# --- types of audit events -------------------------------------------------------------------------------------------


def test_a_type_that_is_not_registered_is_not_recorded(app: Flask) -> None:
    with app.app_context():
        with pytest.raises(KeyError, match=r"no type of audit event 'note\.created'"):
            audit.record("note.created", context=OPERATOR)
        assert db.session.scalar(select(func.count()).select_from(AuditEvent)) == 0


def test_a_registered_type_is_recorded_and_found(app: Flask, api: Api, admin: str, register: Registering) -> None:
    arguments = ["list", "--type", "note.created", "--json"]
    problem(api.get("/audit-events?type=note.created", admin), 422, "validation_failed")
    assert app.test_cli_runner().invoke(audit_commands, arguments).exit_code == 2
    register(event_types, "note.created", "A note was created.")
    with app.app_context(), transaction():
        audit.record("note.created", context=OPERATOR, note=7)
    found = api.get("/audit-events?type=note.created", admin).get_json()["items"]
    assert [(event["type"], event["details"]) for event in found] == [("note.created", {"note": 7})]
    listed = app.test_cli_runner().invoke(audit_commands, arguments)
    assert listed.exit_code == 0, listed.output
    assert [(event["type"], event["details"]) for event in json.loads(listed.stdout)] == [("note.created", {"note": 7})]


def test_a_registered_type_is_in_the_contract(register: Registering) -> None:
    register(event_types, "note.created", "A note was created.")
    app = create_app(settings(database_url="postgresql+psycopg2://nobody@localhost/none"))
    document = json.loads(AuthApp.of(app).openapi.json)
    query = document["paths"]["/api/v1/audit-events"]["get"]["parameters"]
    assert next(each["schema"]["enum"] for each in query if each["name"] == "type") == list(event_types)


# --- rate limits -----------------------------------------------------------------------------------------------------


def test_a_view_cannot_be_limited_by_a_limit_that_is_not_registered() -> None:
    with pytest.raises(KeyError, match="no rate limit 'nope'"):
        limited("nope")
    with pytest.raises(KeyError, match="no rate limit 'nope'"):
        settings(database_url="").rate_limit("nope")


def from_env(monkeypatch: pytest.MonkeyPatch, url: str, **variables: str) -> Settings:
    values = settings(database_url=url)
    for name, value in {
        "DATABASE_URL": url,
        "JWT_KEYS": values.jwt_keys,
        "ISSUER": values.issuer,
        "AUDIENCE": values.audience,
        **variables,
    }.items():
        monkeypatch.setenv(f"AUTHAPP_{name}", value)
    return Settings.from_env(
        check_keys=lambda _: [], check_encryption_keys=Mock(), development_keys={}, instance=Mock()
    )


@pytest.mark.parametrize(
    ("variable", "limit"),
    [
        ({}, RateLimit(5, 60)),
        ({"RATE_LIMIT_REPORT": "2/minute"}, RateLimit(2, 60)),
        ({"RATE_LIMIT_REPORT": "off"}, None),
    ],
)
def test_a_registered_limit_is_set_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, register: Registering, variable: dict[str, str], limit: RateLimit | None
) -> None:
    register(rate_limits, "report", RateLimit(5, 60))
    url = "postgresql+psycopg2://nobody@localhost/none"
    assert from_env(monkeypatch, url, **variable).rate_limit("report") == limit


def test_a_bad_limit_of_a_registered_name_is_a_problem_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, register: Registering
) -> None:
    register(rate_limits, "report", None)
    with pytest.raises(SettingsError, match="AUTHAPP_RATE_LIMIT_REPORT must be a limit"):
        from_env(monkeypatch, "postgresql://x@y/z", RATE_LIMIT_REPORT="often")


def test_requests_are_counted_by_a_registered_limit(databases: Databases, register: Registering) -> None:
    name = register(rate_limits, "report", RateLimit(2, 60))
    blueprint = Blueprint("reports", __name__)

    @blueprint.get("/report")
    @public
    @limited(name)
    def get_report() -> Any:
        return {}

    with databases.migrated() as url:
        app = create_app(settings(database_url=url, rate_limits={}))
        AuthApp.of(app).register_blueprint(blueprint)
        answers = [app.test_client().get("/report") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[2].headers["RateLimit-Policy"] == '"report";q=2;w=60'
        dispose(app)


# --- password checks -------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(register: Registering) -> list[NewPassword]:
    """The passwords that a registered check was asked about; it refuses those with a z."""
    asked: list[NewPassword] = []

    def check(wanted: NewPassword) -> list[str]:
        asked.append(wanted)
        return ["It contains a z."] if "z" in wanted.password else []

    register(password_checks, "no-z", check)
    return asked


BAD = "a zebra crosses the road"
GOOD = "another long sentence"


def test_a_registered_check_is_asked_at_registration(api: Api, asked: list[NewPassword]) -> None:
    names = {"username": "ada", "email": "ada@example.com"}
    body = problem(api.post("/auth/register", {**names, "password": BAD}), 422, "password_rejected")
    assert body["errors"] == [{"pointer": "#/password", "detail": "It contains a z."}]
    assert api.post("/auth/register", {**names, "password": GOOD}).status_code == 201
    assert asked == [NewPassword(BAD, **names), NewPassword(GOOD, **names)]


def test_a_registered_check_is_asked_for_a_new_password(app: Flask, api: Api, asked: list[NewPassword]) -> None:
    user = a_user(app)
    token = a_session(app, user).access_token
    asked.clear()
    body = {"current_password": PASSWORD, "new_password": BAD}
    errors = problem(api("PUT", "/users/me/password", token, json=body), 422, "password_rejected")["errors"]
    assert errors == [{"pointer": "#/new_password", "detail": "It contains a z."}]
    assert api("PUT", "/users/me/password", token, json={**body, "new_password": GOOD}).status_code == 204
    with app.app_context():
        with pytest.raises(PasswordRejected, match="It contains a z"):
            Services.of(app).administration.set_password(user.id, BAD, OPERATOR)
        Services.of(app).administration.set_password(user.id, PASSWORD, OPERATOR)
    assert [each.password for each in asked] == [BAD, GOOD, BAD, PASSWORD]


def test_no_check_is_asked_at_a_login(app: Flask, api: Api, register: Registering) -> None:
    """Whoever has a password that would be refused today must get in to change it."""
    user = a_user(app, password=BAD)
    register(password_checks, "none", Mock(return_value=["None is good enough."]))
    assert api.log_in(user.username, BAD).status_code == 200
    problem(api.log_in(user.username, GOOD), 401, "invalid_credentials")
    token = a_session(app, user, BAD).access_token
    assert api("DELETE", "/users/me", token, json={"password": BAD}).status_code == 204
    assert password_checks["none"].call_count == 0  # type: ignore[attr-defined]


# --- token claims ----------------------------------------------------------------------------------------------------


def claims_of(app: Flask, user: User) -> dict[str, Any]:
    return dict(Services.of(app).tokens.read(a_session(app, user).access_token))


def always(value: Any) -> Callable[..., Any]:
    return lambda *_: value


def test_claims_are_added_and_none_is_left_out(app: Flask, register: Registering) -> None:
    user = a_user(app)
    plain = claims_of(app, user)
    register(token_claims, "notes:plan", always({"name": "pro", "seats": [1, 2.5, None, True, "\u00e9"]}))
    register(token_claims, "notes:none", always(None))
    register(token_claims, "notes:false", always(False))
    register(token_claims, "notes:user", lambda user_id, session_id: f"{user_id} {session_id}")
    claims = claims_of(app, user)
    assert claims["notes:plan"] == {"name": "pro", "seats": [1, 2.5, None, True, "\u00e9"]}
    assert claims["notes:false"] is False
    assert claims["notes:user"] == f"{user.id} {claims['sid']}"
    assert claims.keys() - plain.keys() == {"notes:plan", "notes:false", "notes:user"}


def test_no_claim_of_ours_can_be_named(app: Flask) -> None:
    for name in claims_of(app, a_user(app)):
        with pytest.raises(ValueError, match="cannot name a token claim"):
            token_claims.register(name, always("x"))


def test_a_claim_of_ours_stands_above_any_other(app: Flask) -> None:
    """The second lock, for a claim that came past the registry."""
    tokens, now = Services.of(app).tokens, claims_of(app, a_user(app))
    names = {
        "user_id": identifiers.time_ordered(),
        "session_id": identifiers.time_ordered(),
        "jti": identifiers.unguessable(),
    }
    start = clock.from_timestamp(now["iat"])
    end = clock.from_timestamp(now["exp"])
    assert start is not None
    assert end is not None
    times = {"issued_at": start, "expires_at": end, "auth_time": start}
    token = tokens.sign("access", **names, **times, amr=["pwd"], extra=dict.fromkeys(now, "evil"))  # type: ignore[arg-type]
    assert "evil" not in dict(tokens.read(token)).values()


def size_of(text_length: int) -> int:
    return len(json.dumps({"notes:plan": "x" * text_length}))


def test_all_claims_together_take_1024_bytes_at_most(app: Flask, register: Registering) -> None:
    user = a_user(app)
    longest = MAX_BYTES - size_of(0)
    assert (MAX_BYTES, size_of(longest)) == (1024, 1024)
    register(token_claims, "notes:plan", lambda *_: "x" * longest)
    assert len(claims_of(app, user)["notes:plan"]) == longest
    longest += 1
    with pytest.raises(ValueError, match="take 1025 bytes"):
        claims_of(app, user)
    longest = 100
    register(token_claims, "notes:other", always("x" * (MAX_BYTES - size_of(100))))
    with pytest.raises(ValueError, match="at most 1024"):
        claims_of(app, user)


BROKEN: dict[str, Callable[..., Any]] = {
    "too long": always("x" * 1024),
    "long in UTF-8": always("\u00e9" * 400),
    "an object": always(object()),
    "a set": always({1}),
    "bytes": always(b"x"),
    "a key that is no text": always({(1,): 2}),
    "not a number": always(float("nan")),
    "infinite": always(float("inf")),
    "a NUL": always("x\0"),
    "a NUL in a key": always({"x\0": 1}),
    "a lone surrogate": always("\ud800"),
    "deep": always(json.loads("[" * 40 + "]" * 40)),
    "one key twice": always({1: 1, "1": 2}),
    "a huge number": always(10**100),
    "raises": Mock(side_effect=ZeroDivisionError),
}


@pytest.mark.parametrize("source", BROKEN.values(), ids=BROKEN)
def test_a_source_that_cannot_be_used_means_no_token(
    app: Flask, api: Api, register: Registering, source: Callable[..., Any]
) -> None:
    user = a_user(app)
    pair = a_session(app, user)
    register(token_claims, "notes:plan", source)
    body = problem(api.log_in(user.username), 500, "internal_error")
    assert "token" not in str(body)
    problem(api.post("/auth/refresh", token=pair.refresh_token), 500, "internal_error")
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Session)) == 1, "no session starts without a token"


def test_a_refresh_that_failed_can_be_tried_again(app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the token used up, the next attempt would count as a theft, and end the session."""
    pair = a_session(app, a_user(app))
    token_claims.register("notes:plan", BROKEN["raises"])
    try:
        problem(api.post("/auth/refresh", token=pair.refresh_token), 500, "internal_error")
    finally:
        token_claims.unregister("notes:plan")
    later = clock.now() + timedelta(minutes=5)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert api.post("/auth/refresh", token=pair.refresh_token).status_code == 200


def test_every_token_that_is_issued_can_be_read(app: Flask, api: Api, register: Registering) -> None:
    for value in ("\u2028\x01\x7f\ufffe", {"": ""}, [[]] * 20, -(10**60), 1e308, {"sub": "evil", "exp": 0}):
        register(token_claims, "notes:plan", always(value))
        pair = a_session(app, a_user(app))
        assert isinstance(pair, TokenPair)
        assert api.get("/ping", pair.access_token).status_code == 200, value
        token_claims.unregister("notes:plan")


def test_without_a_source_there_is_nothing_to_ask() -> None:
    assert extra_claims(identifiers.time_ordered(), identifiers.time_ordered()) == {}
