"""An account with more sessions than anybody has: whatever ends them is certain at once, and nobody else waits."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import create_engine, text

from authapp import create_app
from authapp.models.role import ADMIN
from conftest import dispose
from databases import Databases
from e2e.processes import Server, environment, flask, serving
from factories import PASSWORD, a_session, a_user
from settings import settings

MANY = 120_000
LISTED = 20_000
LIVE = 0.5
"""Seconds in which ``/health/live`` must answer, whatever others do."""

COPIES = """
    INSERT INTO sessions (user_id, id, created_at, last_used_at, expires_at, ended_at, end_reason, refresh_jti,
                          rotated_at, refresh_expires_at, ip_address, user_agent, amr, auth_time, valid_from)
    SELECT user_id, gen_random_uuid(), created_at, last_used_at - number * interval '1 second', expires_at, {ended},
           gen_random_uuid(), rotated_at, refresh_expires_at, ip_address, user_agent, amr, auth_time, valid_from
    FROM sessions, generate_series(1, :number) AS number
    WHERE user_id = :user_id AND id = (SELECT id FROM sessions WHERE user_id = :user_id ORDER BY id LIMIT 1)
"""
BLOCKLISTED = """
    INSERT INTO token_blocklist (user_id, jti, token_type, expires_at, revoked_at)
    SELECT :user_id, gen_random_uuid(), 'access', now() + interval '1 day', now() FROM generate_series(1, :number)
"""


class Crowded:
    """An account with two real sessions, ``number`` copies of the first, ``past`` that have ended, and their tokens."""

    def __init__(self, server: Server, number: int = MANY, past: int = MANY) -> None:
        app = create_app(settings(database_url=server.database_url))
        user = a_user(app)
        self.id, self.name = user.id, user.username
        self.pairs = [a_session(app, user) for _ in range(2)]
        with app.app_context():
            engine = create_engine(server.database_url)
            with engine.begin() as connection:
                values = {"user_id": user.id, "number": number}
                connection.execute(text(COPIES.format(ended="NULL, NULL")), values)
                values["number"] = past
                connection.execute(text(COPIES.format(ended="now(), 'logout'")), values)
                connection.execute(text(BLOCKLISTED), values)
            engine.dispose()
        self.admin = a_session(app, a_user(app, roles=[ADMIN])).access_token
        dispose(app)

    def tokens(self) -> list[str]:
        return [pair.access_token for pair in self.pairs]


@pytest.fixture
def alone(databases: Databases, tmp_path: Path) -> Iterator[Server]:
    """A server with one worker, so that whoever holds its loop holds everybody."""
    with databases.migrated() as url, serving(tmp_path, environment(url, WEB_CONCURRENCY="1")) as server:
        yield server


def opens(server: Server, token: str) -> int:
    return server.call("GET", "/api/v1/ping", token).status_code


Act = Callable[[Server, Crowded], Any]


def call(method: str, path: str, *, admin: bool = False, json: Any = None) -> Act:
    def act(server: Server, account: Crowded) -> int:
        token = account.admin if admin else account.pairs[0].access_token
        return server.call(method, f"/api/v1{path.format(id=account.id)}", token, json=json).status_code

    return act


def command(*arguments: str) -> Act:
    def act(server: Server, account: Crowded) -> int:
        done = flask(environment(server.database_url), *arguments, account.name, stdin="another long sentence\n")
        assert done.returncode == 0, done.stderr
        return 0

    return act


NEW_PASSWORD = {"current_password": PASSWORD, "new_password": "another long sentence"}
ACTS: dict[str, tuple[Act, int, list[int]]] = {
    "disabling": (call("PATCH", "/users/{id}", admin=True, json={"status": "disabled"}), 200, [401, 401]),
    "an administrator": (call("DELETE", "/users/{id}/sessions", admin=True), 204, [401, 401]),
    "logout everywhere": (call("POST", "/auth/logout?scope=global"), 204, [401, 401]),
    "logout of the others": (call("POST", "/auth/logout?scope=others"), 204, [200, 401]),
    "a new password": (call("PUT", "/users/me/password", json=NEW_PASSWORD), 204, [200, 401]),
    "closing the account": (call("DELETE", "/users/me", json={"password": PASSWORD}), 204, [401, 401]),
    "deletion": (call("DELETE", "/users/{id}", admin=True), 204, [401, 401]),
    "flask users disable": (command("users", "disable"), 0, [401, 401]),
    "flask users logout": (command("users", "logout"), 0, [401, 401]),
    "flask users set-password": (command("users", "set-password", "--password-stdin"), 0, [401, 401]),
    "flask users delete": (command("users", "delete", "--yes"), 0, [401, 401]),
}


@pytest.fixture(scope="module")
def crowded_server(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with databases.migrated() as url, serving(tmp_path_factory.mktemp("crowded"), environment(url)) as server:
        yield server


@pytest.mark.parametrize("name", ACTS)
def test_whatever_ends_all_sessions_is_certain_at_once(crowded_server: Server, name: str) -> None:
    act, status, afterwards = ACTS[name]
    # Those that end sessions alone have nothing to do with what is over.
    past = MANY if re.search("delet|closing", name) else MANY // 10
    server, account = crowded_server, Crowded(crowded_server, past=past)
    assert [opens(server, token) for token in account.tokens()] == [200, 200]

    # Work that grew with the sessions would be 503: PostgreSQL gives a statement up after two seconds.
    assert act(server, account) == status

    assert [opens(server, token) for token in account.tokens()] == afterwards


def test_a_login_costs_no_more_and_brings_the_account_nearer_to_its_maximum(alone: Server) -> None:
    account = Crowded(alone)
    body = {"username": account.name, "password": PASSWORD}
    response = alone.call("POST", "/api/v1/auth/login", json=body)
    assert response.status_code == 200, response.text
    assert opens(alone, response.json()["access_token"]) == 200


@contextmanager
def watching(server: Server) -> Iterator[list[float]]:
    """Ask ``/health/live`` without a pause; collect how many seconds each answer took."""
    seconds: list[float] = []
    stop = threading.Event()

    def watch() -> None:
        with requests.Session() as session:
            while not stop.is_set():
                start = time.monotonic()
                assert session.get(f"{server.url}/health/live", timeout=20).status_code == 200
                seconds.append(time.monotonic() - start)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seconds
    finally:
        stop.set()
        thread.join()


@pytest.mark.alone  # the longest of many answers is measured
def test_a_list_of_sessions_has_pages_and_holds_nobody_up(alone: Server) -> None:
    account = Crowded(alone, LISTED)
    token = account.pairs[0].access_token
    seen: list[str] = []
    cursor = ""
    with watching(alone) as seconds:
        for _ in range(5):
            answer = alone.call("GET", f"/api/v1/users/me/sessions?limit=100{cursor}", token)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            assert len(page["items"]) == 100
            seen += [item["id"] for item in page["items"]]
            cursor = f"&cursor={page['next_cursor']}"
    assert len(set(seen)) == 500
    assert len(seconds) > 5
    assert max(seconds) < LIVE, sorted(seconds)[-5:]
