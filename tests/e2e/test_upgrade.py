"""An upgrade from the schema and the tokens of version 0.1: nobody is logged out, and nobody who was comes back."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, create_engine, text

from authapp.security import base64url, identifiers
from authapp.security.keys import KeyRing
from authapp.security.passwords import Passwords
from databases import Databases
from e2e.processes import Server, environment, flask, serving
from settings import KEYS

KEY = KeyRing.from_json(KEYS).signing
PASSWORD = "correct horse battery staple"


@cache
def start() -> datetime:
    """Return when the sessions began: shortly before the first test here, not before all tests, or tokens expire."""
    return datetime.now(UTC) - timedelta(minutes=2)


TYP = {"access": "at+jwt", "refresh": "rt+jwt"}
TABLES = {
    *("users", "sessions", "token_blocklist", "roles", "user_roles"),
    *("audit_events", "login_throttles", "address_limits"),
}
API = "/api/v1"


@dataclass
class Login:
    """One session of version 0.1, with the identifiers of its tokens."""

    user_id: UUID
    id: UUID
    access_jti: UUID
    refresh_jti: UUID
    previous_refresh_jti: UUID

    @property
    def access_token(self) -> str:
        return self._signed("access", self.access_jti, timedelta(minutes=15))

    @property
    def refresh_token(self) -> str:
        return self._signed("refresh", self.refresh_jti, timedelta(days=30))

    @property
    def exchanged_refresh_token(self) -> str:
        return self._signed("refresh", self.previous_refresh_jti, timedelta(days=30))

    def _signed(self, type_: str, jti: UUID, lifetime: timedelta) -> str:
        """Sign a token as version 0.1 did: without client_id, auth_time and amr."""
        issued = int(start().timestamp())
        claims = {
            "iss": "https://auth.example.com",
            "aud": "authapp",
            "sub": str(self.user_id),
            "iat": issued,
            "nbf": issued,
            "exp": issued + int(lifetime.total_seconds()),
            "jti": str(jti),
            "sid": str(self.id),
            "type": type_,
            "fresh": type_ == "access",
        }
        header = {"alg": KEY.alg, "kid": KEY.kid, "typ": TYP[type_]}
        parts = [base64url.encode(json.dumps(each, separators=(",", ":")).encode()) for each in (header, claims)]
        signature = base64url.encode(KEY.sign(".".join(parts).encode()))
        return ".".join([*parts, signature])


# What version 0.1 writes: its columns, and none that came later.
USER = """
    INSERT INTO users (id, username, username_key, email, email_key, password_hash, status,
                       created_at, updated_at, last_login_at)
    VALUES (:id, :name, :name, :email, :email, :password_hash, :status, :start, :start, NULL)
"""
SESSION = """
    INSERT INTO sessions (user_id, id, created_at, last_used_at, expires_at, ended_at, end_reason, refresh_jti,
                          previous_refresh_jti, rotated_at, refresh_expires_at, ip_address, user_agent)
    VALUES (:user_id, :id, :start, :start, :expires_at, :ended_at, :end_reason, :refresh_jti,
            :previous_refresh_jti, :start, :refresh_expires_at, '192.0.2.1', 'version 0.1')
"""
BLOCKLISTED = "INSERT INTO token_blocklist VALUES (:user_id, :jti, 'access', :expires_at, :start)"
OTHERS = """
    INSERT INTO roles VALUES ('support', 'Answers the phone.', '{users:read}');
    INSERT INTO user_roles VALUES (:ada, 'admin'), (:bob, 'support');
    INSERT INTO audit_events VALUES (:start, :event, 'user.registered', :ada, :ada, NULL, '192.0.2.1', NULL, 'r', '{}');
    INSERT INTO login_throttles VALUES (:bob, 'login', 3, :start, NULL);
    INSERT INTO address_limits VALUES ('192.0.2.1', 'login', :start)
"""


def insert_user(connection: Connection, name: str, status: str = "active") -> UUID:
    user_id = identifiers.time_ordered()
    password_hash = Passwords(memory_kib=8, time_cost=1).hash(PASSWORD)
    values = {"name": name, "email": f"{name}@example.com", "password_hash": password_hash, "status": status}
    connection.execute(text(USER), {"id": user_id, "start": start(), **values})
    return user_id


def insert_session(connection: Connection, user_id: UUID, *, ended: bool = False) -> Login:
    login = Login(user_id, identifiers.time_ordered(), *(identifiers.unguessable() for _ in range(3)))
    values = {
        "ended_at": start() if ended else None,
        "end_reason": "logout" if ended else None,
        "expires_at": start() + timedelta(days=90),
        "refresh_expires_at": start() + timedelta(days=30),
    }
    connection.execute(text(SESSION), {**vars(login), **values, "start": start()})
    return login


@dataclass
class Upgraded:
    """A server of this version on a database that was filled by version 0.1."""

    server: Server
    engine: Engine
    logins: dict[str, Login]
    rows_before: dict[str, list[Any]]

    def get(self, path: str, token: str) -> Any:
        return self.server.call("GET", API + path, token)

    def refresh(self, token: str) -> Any:
        return self.server.call("POST", f"{API}/auth/refresh", token)


def rows(engine: Engine) -> dict[str, list[Any]]:
    with engine.connect() as connection:
        return {
            table: sorted((dict(row._mapping) for row in connection.execute(text(f"SELECT * FROM {table}"))), key=str)
            for table in sorted(TABLES)
        }


def migrated(variables: dict[str, str], *arguments: str) -> None:
    outcome = flask(variables, "db", *arguments)
    assert outcome.returncode == 0, outcome.stderr


@pytest.fixture(scope="module")
def upgraded(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgraded]:
    folder: Path = tmp_path_factory.mktemp("upgrade")
    with databases.empty() as url:
        variables = environment(url)
        migrated(variables, "upgrade", "0003")
        engine = create_engine(url)
        with engine.begin() as connection:
            ada, bob, eve = (
                insert_user(connection, name, status)
                for name, status in (("ada", "active"), ("bob", "active"), ("eve", "disabled"))
            )
            names = {"live": ada, "refreshed": ada, "revoked": ada, "ended": ada, "reused": bob, "disabled": eve}
            logins = {name: insert_session(connection, user, ended=name == "ended") for name, user in names.items()}
            revoked = {"user_id": ada, "jti": logins["revoked"].access_jti}
            connection.execute(
                text(BLOCKLISTED), {**revoked, "expires_at": start() + timedelta(days=1), "start": start()}
            )
            event = identifiers.time_ordered()
            for statement in OTHERS.split(";"):
                connection.execute(text(statement), {"ada": ada, "bob": bob, "event": event, "start": start()})
        before = rows(engine)
        migrated(variables, "upgrade")
        with serving(folder, variables) as server:
            yield Upgraded(server, engine, logins, before)
        engine.dispose()


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(base64url.decode(token.split(".")[1]))
    return claims


def test_every_row_of_every_table_is_there_as_it_was(upgraded: Upgraded) -> None:
    """Run first: the tests after it write."""
    assert all(upgraded.rows_before[table] for table in TABLES)
    after = rows(upgraded.engine)
    for table, before in upgraded.rows_before.items():
        kept = [{name: row[name] for name in before[0]} for row in after[table]]
        assert sorted(kept, key=str) == before, table


def test_an_access_token_from_before_goes_on_opening(upgraded: Upgraded) -> None:
    token = upgraded.logins["live"].access_token
    assert not {"client_id", "auth_time", "amr"} & claims_of(token).keys()
    assert upgraded.get("/ping", token).status_code == 200
    me = upgraded.get("/users/me", token).json()
    assert (me["username"], me["roles"]) == ("ada", ["admin"])
    assert upgraded.get("/audit-events", token).status_code == 200, "an admin is one still"


def test_it_is_introspected_without_what_it_does_not_say(upgraded: Upgraded) -> None:
    token = upgraded.logins["live"].access_token
    for each in (token, upgraded.logins["live"].refresh_token):
        answer = upgraded.server.call("POST", f"{API}/auth/introspect", token, data={"token": each}).json()
        assert (answer["active"], answer["username"]) == (True, "ada")


def test_a_refresh_token_from_before_is_exchanged_for_a_pair_with_every_claim(upgraded: Upgraded) -> None:
    login = upgraded.logins["refreshed"]
    pair = upgraded.refresh(login.refresh_token).json()
    for token in (pair["access_token"], pair["refresh_token"]):
        claims = claims_of(token)
        assert (claims["client_id"], claims["amr"]) == ("authapp", ["pwd"])
        assert claims["auth_time"] == int(start().timestamp())
        assert claims["sid"] == str(login.id)
    assert upgraded.get("/ping", pair["access_token"]).status_code == 200
    assert upgraded.refresh(pair["refresh_token"]).status_code == 200
    assert upgraded.get("/ping", login.access_token).status_code == 200, "the old one lives until it expires"


def test_what_was_revoked_stays_revoked(upgraded: Upgraded) -> None:
    for name in ("revoked", "ended", "disabled"):
        answer = upgraded.get("/ping", upgraded.logins[name].access_token)
        assert (answer.status_code, answer.json()["code"]) == (401, "token_revoked"), name
    for name in ("ended", "disabled"):
        assert upgraded.refresh(upgraded.logins[name].refresh_token).status_code == 401, name
    assert upgraded.refresh(upgraded.logins["revoked"].refresh_token).status_code == 200, "its session goes on"


def test_a_theft_from_before_is_noticed(upgraded: Upgraded) -> None:
    login = upgraded.logins["reused"]
    assert upgraded.refresh(login.refresh_token).status_code == 200
    answer = upgraded.refresh(login.exchanged_refresh_token)
    assert (answer.status_code, answer.json()["code"]) == (401, "refresh_token_reused")
    assert upgraded.get("/ping", login.access_token).status_code == 401


def test_the_password_from_before_logs_in(upgraded: Upgraded) -> None:
    body = {"username": "ada", "password": PASSWORD}
    answer = upgraded.server.call("POST", f"{API}/auth/login", json=body)
    assert answer.status_code == 200
    assert claims_of(answer.json()["access_token"])["amr"] == ["pwd"]


def test_version_0_1_goes_on_writing_beside_this_one(upgraded: Upgraded) -> None:
    """In a rolling upgrade both versions serve: what the old one does not write is null, or has a default."""
    with upgraded.engine.begin() as connection:
        login = insert_session(connection, insert_user(connection, "carol"))
        columns = "amr, auth_time, valid_from, sessions_valid_from > 'epoch' AS marked, email_verified_at"
        joined = f"SELECT {columns} FROM sessions JOIN users ON users.id = user_id WHERE sessions.id = :id"
        row = connection.execute(text(joined), {"id": login.id}).one()
    assert tuple(row) == (["pwd"], None, None, False, None)
    assert upgraded.get("/ping", login.access_token).status_code == 200
    pair = upgraded.refresh(login.refresh_token).json()
    assert claims_of(pair["access_token"])["auth_time"] == int(start().timestamp())
    listed = upgraded.get("/users/me/sessions", pair["access_token"]).json()["items"]
    assert [(item["id"], item["amr"]) for item in listed] == [(str(login.id), ["pwd"])]


def test_a_global_logout_ends_the_sessions_of_both_versions(upgraded: Upgraded) -> None:
    with upgraded.engine.begin() as connection:
        user_id = insert_user(connection, "dora")
        logins = [insert_session(connection, user_id) for _ in range(3)]
    body = {"username": "dora", "password": PASSWORD}
    ours = upgraded.server.call("POST", f"{API}/auth/login", json=body).json()
    answer = upgraded.server.call("POST", f"{API}/auth/logout?scope=global", logins[0].access_token)
    assert answer.status_code == 204
    for token in [ours["access_token"], *(login.access_token for login in logins)]:
        assert upgraded.get("/ping", token).status_code == 401
    for token in [ours["refresh_token"], *(login.refresh_token for login in logins)]:
        assert upgraded.refresh(token).status_code == 401


def test_the_migration_can_be_taken_back_and_made_again(databases: Databases) -> None:
    with databases.empty() as url:
        variables, engine = environment(url), create_engine(url)
        migrated(variables, "upgrade", "0003")
        with engine.begin() as connection:
            insert_session(connection, insert_user(connection, "ada"))
        before = rows(engine)
        for _ in range(2):
            migrated(variables, "upgrade", "0004")
            with engine.connect() as connection:
                assert connection.execute(text("SELECT count(*) FROM one_time_tokens, outgoing_mail")).scalar() == 0
            migrated(variables, "downgrade", "0003")
            assert rows(engine) == before
        engine.dispose()


def test_an_account_without_a_password_stands_in_the_way_of_taking_it_back(databases: Databases) -> None:
    """Version 0.1 cannot hold one; nothing is lost, and the operator is told."""
    with databases.empty() as url:
        variables, engine = environment(url), create_engine(url)
        migrated(variables, "upgrade", "0004")
        with engine.begin() as connection:
            user_id = insert_user(connection, "ada")
            connection.execute(text("UPDATE users SET password_hash = NULL"))
            insert_session(connection, user_id)
        before = rows(engine)
        outcome = flask(variables, "db", "downgrade", "0003")
        assert outcome.returncode != 0
        assert "password_hash" in outcome.stderr
        assert rows(engine) == before
        engine.dispose()
