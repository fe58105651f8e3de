"""PostgreSQL dies, freezes, hides, is locked and is full: refused, bounded, and well again by itself."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from databases import Databases
from e2e.clients import clients
from e2e.processes import Server
from e2e.proxy import Proxy
from e2e.trouble import PING, Postgres, Tokens, in_service, judge, judge_logouts, troubled, wait

MAX_CONNECTIONS = 60


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    server = Postgres(tmp_path_factory.mktemp("faults"), (f"max_connections={MAX_CONNECTIONS}",))
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def databases(postgres: Postgres) -> Iterator[Databases]:
    made = postgres.databases
    yield made
    made.close()


@pytest.fixture
def url(databases: Databases) -> Iterator[str]:
    with databases.migrated() as url:
        yield url
        databases.forget_connections()


def name_of(url: str) -> str:
    return url.rpartition("/")[2].partition("?")[0]


def test_a_database_that_is_killed_under_load(postgres: Postgres, url: str, tmp_path: Path) -> None:
    tokens = Tokens(url, spare=400)
    with in_service(tmp_path, url) as server:
        with clients(server.port, tokens.plans(), 8) as load:
            wait(1)
            postgres.kill()
            wait(1.5)
            postgres.start()
            back = time.monotonic()
        judge(load, back)
        assert troubled(load)
        assert judge_logouts(server, load) > 10
        assert '"traceback"' not in server.log.lower()


def test_connections_that_are_terminated_cost_the_clients_nothing(postgres: Postgres, url: str, tmp_path: Path) -> None:
    tokens = Tokens(url)
    terminate = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name_of(url)}'"
    with in_service(tmp_path, url) as server:
        with clients(server.port, tokens.plans(), 4) as load:
            for _ in range(5):
                wait(0.5)
                postgres.execute("postgres", terminate)
        judge(load)
        assert {answer.status for answer in load.answers} == {200, 401}


def test_a_database_that_is_frozen(postgres: Postgres, url: str, tmp_path: Path) -> None:
    tokens = Tokens(url)
    with in_service(tmp_path, url) as server:
        try:
            with clients(server.port, tokens.plans(), 10) as load:
                wait(1)
                postgres.send(signal.SIGSTOP)
                wait(5)
                postgres.send(signal.SIGCONT)
                back = time.monotonic()
        finally:
            postgres.send(signal.SIGCONT)
        judge(load, back)
        assert troubled(load)


def test_a_network_that_swallows_everything(postgres: Postgres, url: str, tmp_path: Path) -> None:
    tokens = Tokens(url)
    with Proxy(postgres.socket) as proxy, in_service(tmp_path, proxy.url(url)) as server:
        with clients(server.port, tokens.plans(), 10) as load:
            wait(1)
            proxy.swallow()
            wait(5)
            proxy.restore()
            back = time.monotonic()
        judge(load, back)
        assert troubled(load)


def test_a_blocklist_that_is_locked_while_forty_clients_call(postgres: Postgres, url: str, tmp_path: Path) -> None:
    tokens = Tokens(url)
    with in_service(tmp_path, url) as server:
        locker = postgres.connect(name_of(url))
        locker.autocommit = False
        with clients(server.port, tokens.plans(clients=40), 9) as load:
            wait(1)
            locker.cursor().execute("LOCK TABLE token_blocklist IN ACCESS EXCLUSIVE MODE")
            wait(4)
            locker.rollback()
            back = time.monotonic()
        locker.close()
        judge(load, back)
        assert troubled(load)


def test_a_database_that_has_no_connection_left(postgres: Postgres, url: str, tmp_path: Path) -> None:
    tokens = Tokens(url)
    ours = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name_of(url)}'"
    with in_service(tmp_path, url) as server:
        with clients(server.port, tokens.plans(), 8) as load:
            wait(1)
            connections: list[Any] = []
            postgres.execute("postgres", ours)
            while len(connections) < MAX_CONNECTIONS:
                try:
                    connections.append(postgres.connect("template1"))
                except psycopg2.OperationalError:
                    # All are taken, some by the server: those are taken from it.
                    if not connections[0].closed:
                        connections[0].cursor().execute(ours)
                    if load_is_refused(server):
                        break
            wait(1.5)
            for connection in connections:
                connection.close()
            back = time.monotonic()
        judge(load, back)
        assert troubled(load)


def load_is_refused(server: Server) -> bool:
    return server.call("GET", "/health/ready").status_code == 503


def test_a_revoked_token_is_refused_on_every_worker_at_once(url: str, tmp_path: Path) -> None:
    tokens = Tokens(url, spare=60)
    with in_service(tmp_path, url, WEB_CONCURRENCY="4") as server:
        for token in tokens.spare:
            assert {server.call("GET", PING, token).status_code for _ in range(3)} == {200}
            assert server.call("POST", "/api/v1/auth/logout", token).status_code == 204
            # A connection each: whichever of the workers takes it, and remembers the signature.
            assert {server.call("GET", PING, token).status_code for _ in range(6)} == {401}
