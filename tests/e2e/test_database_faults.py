"""PostgreSQL dies, freezes, hides, is locked and is full: refused, bounded, and well again by itself.

One server lives through all of it: nothing that happens to its database makes it need a restart.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from databases import Databases
from e2e.clients import Load, clients
from e2e.processes import Server
from e2e.proxy import Proxy
from e2e.trouble import PING, Postgres, Tokens, in_service, judge, judge_logouts, recovered, troubled, wait

MAX_CONNECTIONS = 60
BEYOND_THE_DEADLINE = 3.5
"""In seconds: longer than a request may wait, so that some are refused."""

AN_ERROR_OF_THE_CODE = "Traceback (most recent call last)"


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


@pytest.fixture(scope="module")
def url(databases: Databases) -> Iterator[str]:
    with databases.migrated() as url:
        yield url
        databases.forget_connections()


@pytest.fixture(scope="module")
def server(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with in_service(tmp_path_factory.mktemp("server"), url) as running:
        yield running
        assert AN_ERROR_OF_THE_CODE not in running.log


def name_of(url: str) -> str:
    return url.rpartition("/")[2].partition("?")[0]


def termination(url: str) -> str:
    return f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name_of(url)}'"


@contextmanager
def under_load(server: Server, tokens: Tokens, number: int = 8) -> Iterator[Load]:
    """Lend what clients meet while the block makes trouble and ends it; they are well before, and have to be after."""
    with clients(server.port, tokens.plans(number)) as load:
        wait(0.7)
        yield load
        back = time.monotonic()
        recovered()
    judge(load, back)
    assert troubled(load)


def test_a_database_that_is_killed_under_load(postgres: Postgres, url: str, server: Server) -> None:
    tokens = Tokens(url, spare=400)
    with under_load(server, tokens) as load:
        postgres.kill()
        wait(1)
        postgres.start()
    assert judge_logouts(server, load) > 10
    assert AN_ERROR_OF_THE_CODE not in server.log


def test_connections_that_are_terminated_cost_the_clients_nothing(postgres: Postgres, url: str, server: Server) -> None:
    with clients(server.port, Tokens(url).plans()) as load:
        for _ in range(5):
            wait(0.4)
            postgres.execute("postgres", termination(url))
        wait(0.4)
    judge(load)
    assert {answer.status for answer in load.answers} == {200, 401}


def test_writes_whose_connections_are_terminated_are_done_once(postgres: Postgres, url: str, server: Server) -> None:
    tokens = Tokens(url, spare=200, to_refresh=4)
    with clients(server.port, tokens.plans(clients=2)) as load:
        for _ in range(10):
            wait(0.1)
            postgres.execute("postgres", termination(url))
        for _ in range(4):
            with every_commit_waiting(postgres):
                wait(0.3)
                # Those that have committed, and wait to say so: who asks again finds it done.
                postgres.execute("postgres", termination(url))
            wait(0.2)
    judge(load)
    assert judge_logouts(server, load) > 10
    refreshed = [answer for answer in load.named("refresh") if answer.status == 200]
    assert len(refreshed) > 10
    # Each answer's refresh token was exchanged by the next request; of its access tokens, all have to be good.
    for answer in refreshed:
        assert server.call("GET", PING, answer.name.partition(":")[2]).status_code == 200


@contextmanager
def every_commit_waiting(postgres: Postgres) -> Iterator[None]:
    """Let the server wait for a standby that it has not got, after it has committed and before it says so."""

    def set_to(names: str) -> None:
        postgres.execute("postgres", f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        postgres.execute("postgres", "SELECT pg_reload_conf()")

    set_to("nobody")
    try:
        yield
    finally:
        set_to("")


def test_a_database_that_is_frozen(postgres: Postgres, url: str, server: Server) -> None:
    tokens = Tokens(url)
    try:
        with under_load(server, tokens):
            postgres.send(signal.SIGSTOP)
            wait(BEYOND_THE_DEADLINE)
            postgres.send(signal.SIGCONT)
    finally:
        postgres.send(signal.SIGCONT)


@pytest.mark.alone  # forty clients take both processors, and the longest answer is measured
def test_a_blocklist_that_is_locked_while_forty_clients_call(postgres: Postgres, url: str, server: Server) -> None:
    tokens = Tokens(url)
    locker = postgres.connect(name_of(url))
    locker.autocommit = False
    with under_load(server, tokens, number=40):
        locker.cursor().execute("LOCK TABLE token_blocklist IN ACCESS EXCLUSIVE MODE")
        wait(BEYOND_THE_DEADLINE)
        locker.rollback()
    locker.close()


@pytest.mark.alone  # clients that get too little of the processors meet no trouble, and so nothing is shown
def test_a_database_that_has_no_connection_left(postgres: Postgres, url: str, server: Server) -> None:
    tokens = Tokens(url)
    with under_load(server, tokens):
        connections: list[Any] = []
        postgres.execute("postgres", termination(url))
        while len(connections) < MAX_CONNECTIONS:
            try:
                connections.append(postgres.connect("template1"))
            except psycopg2.OperationalError:
                # All are taken, some by the server: those are taken from it.
                if not connections[0].closed:
                    connections[0].cursor().execute(termination(url))
                if load_is_refused(server):
                    break
        wait(1.5)
        for connection in connections:
            connection.close()


def load_is_refused(server: Server) -> bool:
    return server.call("GET", "/health/ready").status_code == 503


def test_a_network_that_swallows_everything(postgres: Postgres, url: str, tmp_path: Path) -> None:
    tokens = Tokens(url)
    with (
        Proxy(postgres.socket) as proxy,
        in_service(tmp_path, proxy.url(url)) as server,
        under_load(server, tokens),
    ):
        proxy.swallow()
        wait(BEYOND_THE_DEADLINE)
        proxy.restore()


def test_a_revoked_token_is_refused_on_every_worker_at_once(url: str, tmp_path: Path) -> None:
    tokens = Tokens(url, spare=60)
    with in_service(tmp_path, url, WEB_CONCURRENCY="4") as server:
        for token in tokens.spare:
            assert {server.call("GET", PING, token).status_code for _ in range(3)} == {200}
            assert server.call("POST", "/api/v1/auth/logout", token).status_code == 204
            # A connection each: whichever of the workers takes it, and remembers the signature.
            assert {server.call("GET", PING, token).status_code for _ in range(6)} == {401}
