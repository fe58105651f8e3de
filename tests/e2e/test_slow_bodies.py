"""Bodies that take their time: they cost the database nothing, and hold no connection for ever."""

import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg2
import pytest

from api.access_table import ACCESS, FRESH, GUEST, RECENT, REFRESH, TABLE, TWO_FACTORS
from authapp import create_app
from authapp.context import OPERATOR
from authapp.domain.services import Services
from authapp.models.role import ADMIN
from conftest import dispose
from databases import Databases
from e2e.processes import PROVIDERS, Server, environment, serving, with_mail
from factories import PASSWORD, a_session, a_user
from settings import settings

BODY_SECONDS = 10
HEAD = (
    "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
)


@pytest.fixture
def alone(databases: Databases, tmp_path: Path) -> Iterator[Server]:
    """A server with one worker, so that whatever happens to its connections can be seen."""
    with (
        databases.migrated() as url,
        serving(tmp_path, with_mail(environment(url, WEB_CONCURRENCY="1", **PROVIDERS), tmp_path)) as server,
    ):
        yield server


def connections_to(server: Server) -> set[int]:
    connection = psycopg2.connect(server.database_url.replace("+psycopg2", ""))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        found = {pid for (pid,) in cursor.fetchall()}
    connection.close()
    return found


def begun(server: Server, body: bytes, missing: int) -> socket.socket:
    """Return a client that has sent all of ``body`` but the last bytes."""
    client = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    client.sendall(HEAD.format(length=len(body)).encode() + body[:-missing])
    return client


def answer(client: socket.socket) -> str:
    with client, client.makefile("rb") as file:
        return file.readline().decode()


def test_a_body_that_takes_longer_than_the_database_may_is_answered_all_the_same(alone: Server) -> None:
    account = {"username": "ada", "email": "ada@example.com", "password": PASSWORD}
    assert alone.call("POST", "/api/v1/auth/register", json=account).status_code == 201
    before = connections_to(alone)
    body = json.dumps({"username": "ada", "password": PASSWORD}).encode()

    client = begun(alone, body, 1)
    time.sleep(3)
    client.sendall(body[-1:])

    assert " 200 " in answer(client)
    assert before <= connections_to(alone), "no connection that was well has been closed"
    assert '"ERROR"' not in alone.log


def test_a_body_that_never_ends_is_given_up_and_keeps_no_worker_from_stopping(alone: Server) -> None:
    client = begun(alone, b" " * 60_000, 30_000)
    start = time.monotonic()
    time.sleep(0.5)
    alone.process.terminate()
    while time.monotonic() < start + BODY_SECONDS - 1:
        client.sendall(b" ")
        time.sleep(0.5)

    assert " 400 " in answer(client)
    assert BODY_SECONDS - 1 < time.monotonic() - start < BODY_SECONDS + 3
    alone.process.wait(15)  # it would go on for 30 s with a request
    assert '"ERROR"' not in alone.log


@pytest.mark.parametrize("taken_away", ["sessions", "status", "role"])
def test_no_unsafe_route_uses_what_was_taken_away_while_its_body_was_on_the_way(alone: Server, taken_away: str) -> None:
    app = create_app(settings(database_url=alone.database_url))
    levels = {route: level for route, level in TABLE.items() if level != GUEST and not route.startswith("GET")}
    if taken_away == "role":
        levels = {
            route: level
            for route, level in levels.items()
            if level not in {ACCESS, FRESH, RECENT, TWO_FACTORS, REFRESH}
        }
    a_user(app, roles=[ADMIN])
    users = {route: a_user(app, roles=[ADMIN]) for route in levels}
    clients = {}
    for route, user in users.items():
        method, rule = route.split()
        pair = a_session(app, user)
        token = pair.refresh_token if levels[route] == REFRESH else pair.access_token
        body = json.dumps({"refresh_token": token} if levels[route] == REFRESH else {"password": PASSWORD})
        credential = "" if levels[route] == REFRESH else f"Authorization: Bearer {token}\r\n"
        path = re.sub("<uuid:[a-z_]+>", str(uuid4()), rule).replace("<name>", "nobody")
        clients[route] = socket.create_connection(("127.0.0.1", alone.port), timeout=30)
        clients[route].sendall(
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{credential}"
            f"Content-Length: {len(body)}\r\n\r\n{body[:-1]}".encode()
        )
    time.sleep(0.5)  # each request has reached the guard
    with app.app_context():
        administration = Services.of(app).administration
        for user in users.values():
            if taken_away == "sessions":
                administration.end_sessions(user.id, OPERATOR)
            elif taken_away == "status":
                administration.disable(user.id, OPERATOR)
            else:
                administration.revoke(user.id, ADMIN, OPERATOR)
    dispose(app)
    for client in clients.values():
        client.sendall(b"}")

    answers = {route: int(answer(client).split()[1]) for route, client in clients.items()}

    assert answers == dict.fromkeys(levels, 403 if taken_away == "role" else 401)
