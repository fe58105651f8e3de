"""Principals: the answer of the one statement is read by name, so that no column can take the place of another."""

import random
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from flask import Flask, Request
from sqlalchemy import Select, bindparam, literal, null, select, update

from authapp import AuthApp, hooks, permissions
from authapp.context import OPERATOR, Principal
from authapp.database.fast_path import PreparedStatement
from authapp.database.session import db
from authapp.domain.principals import principals
from authapp.domain.principals.principals import TokenStatus, status_from_row
from authapp.domain.services import Services
from authapp.domain.sessions.token_pairs import TokenPair
from authapp.errors import RegistrationClosed, RoleTaken, UsernameTaken
from authapp.models import Session, User
from authapp.models.role import ADMIN
from authapp.security.tokens import Claims
from factories import Api, a_session, a_user, problem

STATEMENT: Select[Any] = principals._SELECT
COLUMNS = [column.name for column in STATEMENT.exported_columns]


def row_of(app: Flask, claims: Claims) -> Any:
    parameters = {"user_id": claims["sub"], "session_id": claims["sid"], "jti": claims["jti"]}
    with app.app_context():
        return Services.of(app).fast_path.read(principals.TOKEN_STATUS, parameters)


def find(app: Flask, claims: Claims) -> TokenStatus | None:
    with app.app_context():
        return Services.of(app).principals.token_status(claims)


@pytest.fixture
def user(app: Flask) -> User:
    return a_user(app, roles=[ADMIN])


@pytest.fixture
def pair(app: Flask, user: User) -> TokenPair:
    return a_session(app, user)


@pytest.fixture
def claims(app: Flask, pair: TokenPair) -> Claims:
    return Services.of(app).tokens.read(pair.access_token)


def status_of(claims: Claims, columns: dict[str, Any]) -> TokenStatus:
    """Return what a row with these columns, in this order, says."""
    row = namedtuple("Row", columns)(**columns)  # type: ignore[misc]  # noqa: PYI024 - made as the fast path makes it
    return status_from_row(claims, row)


def test_the_order_of_the_columns_means_nothing(app: Flask, claims: Claims) -> None:
    columns = row_of(app, claims)._asdict()
    answer = status_of(claims, columns)
    assert not answer.revoked
    for seed in range(20):
        names = list(columns)
        random.Random(seed).shuffle(names)
        assert status_of(claims, {name: columns[name] for name in names}) == answer


@pytest.mark.parametrize("place", range(len(COLUMNS) + 1))
@pytest.mark.parametrize("value", [True, False, None, "active"])
def test_a_column_that_is_added_anywhere_changes_nothing(app: Flask, claims: Claims, place: int, value: object) -> None:
    columns = row_of(app, claims)._asdict()
    items = list(columns.items())
    added = dict([*items[:place], ("added", value), *items[place:]])
    assert status_of(claims, added) == status_of(claims, columns)


@pytest.mark.parametrize("missing", COLUMNS)
def test_a_column_that_is_missing_is_an_error_and_no_default(app: Flask, claims: Claims, missing: str) -> None:
    columns = row_of(app, claims)._asdict()
    del columns[missing]
    with pytest.raises(AttributeError, match=missing):
        status_of(claims, columns)


@pytest.mark.parametrize("value", [None, 0, "", "f", True, 1, [], "active"])
def test_only_a_plain_no_means_not_revoked(app: Flask, claims: Claims, value: object) -> None:
    columns = row_of(app, claims)._asdict()
    assert status_of(claims, {**columns, "revoked": value}).revoked is True
    assert status_of(claims, {**columns, "revoked": False}).revoked is False


@pytest.mark.parametrize("seed", range(5))
def test_the_statement_itself_may_have_its_columns_in_any_order(
    app: Flask, claims: Claims, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    answer = find(app, claims)
    wanted = [*STATEMENT.selected_columns, Session.created_at.label("begun"), null().label("nothing")]
    wanted += [literal(value).label(f"is_{value}".lower()) for value in (True, False)]
    random.Random(seed).shuffle(wanted)
    statement = PreparedStatement(STATEMENT.with_only_columns(*wanted, maintain_column_froms=True))
    monkeypatch.setattr(principals, "TOKEN_STATUS", statement)
    assert find(app, claims) == answer
    with app.app_context():
        db.session.execute(update(Session).values(ended_at=Session.created_at))
        db.session.commit()
    ended = find(app, claims)
    assert ended is not None
    assert answer is not None
    assert ended == replace(answer, revoked=True)


def test_two_columns_of_one_name_are_refused_before_anything_is_asked() -> None:
    with pytest.raises(ValueError, match="one name"):
        PreparedStatement(select(User.created_at, Session.created_at).where(User.id == bindparam("user_id")))


def test_an_unknown_session_has_no_status(app: Flask, claims: Claims) -> None:
    other = Services.of(app).tokens.read(a_session(app, a_user(app)).access_token)
    for changes in ({"sub": other["sub"]}, {"sid": other["sid"]}):
        assert find(app, claims | changes) is None  # type: ignore[arg-type,operator]


@pytest.fixture
def registered() -> Iterator[str]:
    yield permissions.register("notes:read", "Read everybody's notes.")
    permissions.unregister("notes:read")


def test_an_admin_holds_every_permission_also_one_registered_later(app: Flask, claims: Claims, registered: str) -> None:
    answer = find(app, claims)
    assert answer is not None
    assert answer.principal.permissions == set(permissions)
    assert answer.principal.may(registered)
    late = permissions.register("notes:write", "Change everybody's notes.")
    try:
        later = find(app, claims)
        assert later is not None
        assert later.principal.may(late)
        assert not answer.principal.may(late)
    finally:
        permissions.unregister(late)


def test_whoever_is_no_admin_holds_what_their_roles_name_and_no_more(app: Flask, registered: str) -> None:
    with app.app_context():
        Services.of(app).roles.create("readers", [registered, "users:read"], context=OPERATOR)
    for roles, wanted in (["readers"], {registered, "users:read"}), ([], set()):
        token = a_session(app, a_user(app, roles=roles)).access_token
        answer = find(app, Services.of(app).tokens.read(token))
        assert answer is not None
        assert answer.principal.roles == roles
        assert answer.principal.permissions == wanted


class Keys:
    """An authenticator of another kind, whose principals have no session."""

    security_schemes = MappingProxyType({"key": {"type": "apiKey", "in": "header", "name": "X-Key"}})
    refusals = (RegistrationClosed,)

    def __init__(self) -> None:
        self.principals: dict[str, Principal] = {}

    def authenticate(self, request: Request) -> Principal | None:
        return self.principals.get(request.headers.get("X-Key", ""))


@pytest.fixture
def key(app: Flask, user: User, claims: Claims, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The header by which the user is known without a session."""
    keys, answer = Keys(), find(app, claims)
    assert answer is not None
    keys.principals["secret"] = replace(answer.principal, session_id=None)
    extension = AuthApp.of(app)
    monkeypatch.setattr(extension, "authenticators", [keys, *extension.authenticators])
    # The document is made once: one for this test, and the one that was there, or none, after it.
    monkeypatch.setattr(extension.openapi, "_json", None)
    return {"X-Key": "secret"}


def test_a_principal_without_a_session_may_do_what_the_user_may(app: Flask, api: Api, key: dict[str, str]) -> None:
    other = a_user(app)
    assert api.get("/users/me", headers=key).status_code == 200
    assert api("PATCH", f"/users/{other.id}", headers=key, json={"status": "disabled"}).status_code == 200
    assert api("DELETE", f"/users/{other.id}", headers=key).status_code == 204


@pytest.fixture
def document(app: Flask, api: Api, key: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    monkeypatch.setattr(AuthApp.of(app).openapi, "_json", None)

    @hooks.may_refuse(RoleTaken)
    def refuse(_app: object, **_: object) -> None:
        raise RoleTaken

    @hooks.may_refuse(UsernameTaken)
    def refuse_elsewhere(_app: object, **_: object) -> None:
        raise UsernameTaken

    signal = hooks.before_session_start
    with signal.connected_to(refuse, sender=app), signal.connected_to(refuse_elsewhere, sender=object()):
        yield api.client.get("/openapi.json").get_json()


def test_the_document_says_that_the_credential_is_accepted(document: dict[str, Any]) -> None:
    assert set(document["components"]["securitySchemes"]) == {"key", "accessToken", "apiKey", "basic"}
    assert document["paths"]["/api/v1/ping"]["get"]["security"] == [{"key": []}, {"apiKey": []}, {"accessToken": []}]
    assert "registration_closed" in document["paths"]["/api/v1/ping"]["get"]["responses"]["403"]["description"]
    login = document["paths"]["/api/v1/auth/login"]["post"]
    assert login["security"] == []
    assert login["responses"]["409"]["content"]["application/problem+json"]["examples"].keys() == {"role_taken"}
    assert document["paths"]["/api/v1/auth/refresh"]["post"]["security"] == []


@pytest.mark.parametrize(
    ("allowed", "change"),
    [
        ({"users:write"}, {"roles": [ADMIN]}),
        ({"users:write"}, {"roles": ["support"]}),
        ({"users:write", "users:read"}, {"roles": ["support"]}),
    ],
)
def test_a_limited_credential_grants_no_more_than_it_is_allowed(
    app: Flask, api: Api, user: User, claims: Claims, key: dict[str, str], allowed: set[str], change: dict[str, Any]
) -> None:
    other = a_user(app)
    with app.app_context():
        Services.of(app).roles.create("support", ["users:read"], context=OPERATOR)
    keys = next(each for each in AuthApp.of(app).authenticators if isinstance(each, Keys))
    keys.principals["secret"] = replace(keys.principals["secret"], permissions=frozenset(allowed))

    problem(api("PATCH", f"/users/{other.id}", headers=key, json=change), 403, "permission_denied")
    problem(api("PATCH", f"/users/{user.id}", headers=key, json={"status": "disabled"}), 403, "permission_denied")
    assert api("PATCH", f"/users/{other.id}", headers=key, json={"username": "renamed"}).status_code == 200


def test_a_principal_without_a_session_gives_nothing_once_the_user_is_disabled(
    app: Flask, api: Api, user: User, key: dict[str, str]
) -> None:
    other = a_user(app, roles=[ADMIN])
    with app.app_context():
        db.session.execute(update(User).where(User.id == user.id).values(status="disabled"))
        db.session.commit()
    problem(api("PATCH", f"/users/{other.id}", headers=key, json={"roles": []}), 401, "token_revoked")


def test_what_needs_a_token_refuses_another_credential(
    app: Flask, api: Api, key: dict[str, str], pair: TokenPair
) -> None:
    # flask.g outlives a request within an application context: the claims of the one before must not count.
    with app.app_context():
        assert api.get("/ping", pair.access_token).status_code == 200
        problem(api.post("/auth/logout", headers=key), 403, "permission_denied")
        problem(api("DELETE", "/users/me", headers=key, json={"password": "x"}), 403, "permission_denied")
    problem(api.post("/auth/logout", headers=key), 403, "permission_denied")
    assert api.get("/ping", pair.access_token).status_code == 200
