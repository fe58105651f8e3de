"""The pool: no more connections than allowed, dead ones replaced, and no request waits longer than it may."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest
from sqlalchemy import Double, Integer, bindparam, create_engine, func, literal, select, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from authapp.database import deadline, fast_path
from authapp.database.connect import DeadlinePool, connect_arguments, connector
from authapp.database.errors import is_outage
from authapp.database.fast_path import FastPath, PreparedStatement
from authapp.database.orphaned_backends import OrphanedBackends
from databases import Databases

ONE = PreparedStatement(select(literal(1).label("one")))
PID = PreparedStatement(select(func.pg_backend_pid().label("pid")))
SLEEP = PreparedStatement(select(func.pg_sleep(bindparam("seconds", type_=Double)).label("slept")))
NOBODY_LISTENS = "postgresql+psycopg2://nobody@127.0.0.1:1/nothing"


@pytest.fixture(scope="module")
def url(databases: Databases) -> Iterator[str]:
    with databases.empty() as url:
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text("CREATE SEQUENCE numbers"))
        engine.dispose()
        yield url


def made(url: str, *, size: int = 2, timeout: float = 1.0) -> FastPath:
    orphaned = OrphanedBackends(timeout, enabled=True)
    return FastPath(connector(url, connect_arguments(timeout)), orphaned, size=size, timeout=timeout)


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Let the block wait for the database as a request may: for ``seconds`` in all."""
    deadline.start(seconds)
    try:
        yield
    finally:
        deadline.stop()


def terminate(url: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        ours = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'authapp' AND datname = current_database()"
        )
        connection.execute(text(ours))
    engine.dispose()


def until_all_are_busy(connections: FastPath) -> None:
    """Wait until every permit is taken."""
    give_up_at = time.monotonic() + 10
    while connections._permits._free:
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def test_a_connection_is_used_again_and_the_last_one_first(url: str) -> None:
    connections = made(url)
    assert len({connections.read(PID, {}).pid for _ in range(5)}) == 1
    connections.clear()


def test_no_more_are_open_than_allowed_and_nobody_is_forgotten(url: str) -> None:
    connections = made(url, size=3, timeout=5)
    with ThreadPoolExecutor(12) as threads:
        pids = list(threads.map(lambda _: connections.read(PID, {}).pid, range(200)))
    assert len(set(pids)) <= 3
    connections.clear()


def test_dead_connections_cost_nothing_but_fresh_ones(url: str) -> None:
    connections = made(url, size=4)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: connections.read(SLEEP, {"seconds": 0.1}), range(4)))
    terminate(url)
    assert connections.read(ONE, {}).one == 1
    connections.clear()


def test_a_database_that_is_not_there_is_an_outage_at_once() -> None:
    start = time.monotonic()
    with pytest.raises(OperationalError) as refused:
        made(NOBODY_LISTENS).read(ONE, {})
    assert is_outage(refused.value)
    assert time.monotonic() - start < 1


def test_a_pool_in_which_all_are_busy_is_an_outage_when_the_time_is_over(url: str) -> None:
    connections = made(url, size=1, timeout=1.0)

    def sleep() -> None:
        with pytest.raises(DBAPIError):
            connections.read(SLEEP, {"seconds": 5})

    busy = threading.Thread(target=sleep)
    busy.start()
    until_all_are_busy(connections)

    start = time.monotonic()
    with bounded(0.2), pytest.raises(PoolTimeout) as refused:
        connections.read(ONE, {})
    assert is_outage(refused.value)
    assert time.monotonic() - start < 0.8
    busy.join()
    assert connections.read(ONE, {}).one == 1, "the permit of one that failed is free again"
    connections.clear()


def test_a_statement_that_the_server_gives_up_leaves_the_connection_usable(url: str) -> None:
    connections = made(url, timeout=0.5)
    pid = connections.read(PID, {}).pid
    with pytest.raises(OperationalError) as refused:
        connections.read(SLEEP, {"seconds": 5})
    assert is_outage(refused.value)
    assert connections.read(PID, {}).pid == pid
    connections.clear()


def test_statements_share_the_deadline_of_their_request(url: str) -> None:
    connections = made(url, timeout=1.0)
    start = time.monotonic()
    with bounded(1.0), suppress(OperationalError):
        for _ in range(10):
            connections.read(SLEEP, {"seconds": 0.3})
    assert 0.9 < time.monotonic() - start < 2
    assert connections.read(SLEEP, {"seconds": 0.3}) is not None, "afterwards there is no deadline"
    connections.clear()


def test_what_is_not_the_databases_time_does_not_count() -> None:
    with bounded(1.0):
        with deadline.paused():
            time.sleep(0.3)
        assert 0.9 < deadline.left(10) <= 1.0
    assert deadline.left(10) > 9.9


def test_a_connection_gets_no_older_than_allowed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connections = made(url)
    first = connections.read(PID, {}).pid
    monkeypatch.setattr(fast_path, "MAX_AGE", -1.0)
    assert connections.read(PID, {}).pid == first
    assert connections.read(PID, {}).pid != first
    connections.clear()


def test_sqlalchemys_pool_waits_no_longer_than_the_request_may(url: str) -> None:
    engine = create_engine(url, poolclass=DeadlinePool, pool_size=1, max_overflow=0, pool_timeout=30)
    start = time.monotonic()
    with bounded(0.5), engine.connect(), pytest.raises(PoolTimeout):
        engine.connect()
    assert time.monotonic() - start < 1
    renewed = engine.pool.recreate()
    assert renewed.timeout() > 29  # type: ignore[attr-defined]
    engine.dispose()


def test_a_statement_that_could_not_be_waited_for_is_not_sent(url: str) -> None:
    connections = made(url)
    pid = connections.read(PID, {}).pid

    with bounded(0.1):
        time.sleep(0.15)
        with pytest.raises(PoolTimeout) as refused:
            connections.write(SLEEP, {"seconds": 0.0})
    assert is_outage(refused.value)
    assert connections.read(PID, {}).pid == pid, "the connection is as good as before"
    connections.clear()


def test_a_statement_that_is_not_answered_costs_no_connection_but_its_own(url: str) -> None:
    connections = made(url, size=4, timeout=5.0)
    with ThreadPoolExecutor(2) as threads:
        pids = set(
            threads.map(
                lambda _: (connections.read(SLEEP, {"seconds": 0.2}), connections.read(PID, {}).pid)[1], range(2)
            )
        )
    assert len(pids) == 2

    with bounded(0.3), pytest.raises(OperationalError) as refused:
        connections.read(SLEEP, {"seconds": 3.0})
    assert is_outage(refused.value)
    assert connections.read(PID, {}).pid in pids
    connections.clear()


def test_a_server_that_turns_out_to_be_a_standby_is_left(url: str) -> None:
    connections = made(url)
    pid = connections.read(PID, {}).pid
    # As a server is that was demoted behind a pooler.
    connections.read(
        PreparedStatement(select(func.set_config("default_transaction_read_only", "on", literal(False)).label("x"))), {}
    )
    with pytest.raises(DBAPIError) as refused:
        connections.write(PreparedStatement(select(func.nextval("numbers").label("next"))), {})
    assert is_outage(refused.value)
    assert connections.read(PID, {}).pid != pid


def test_writes_that_wait_leave_connections_for_reads(url: str) -> None:
    connections = made(url, size=4, timeout=3.0)
    with ThreadPoolExecutor(4) as threads:
        writes = [threads.submit(connections.write, SLEEP, {"seconds": 1.0}) for _ in range(4)]
        time.sleep(0.3)
        start = time.monotonic()
        assert connections.read(ONE, {}).one == 1
        assert time.monotonic() - start < 0.5
        assert [each.result() for each in writes]
    connections.clear()


def test_errors_show_no_parameters(url: str) -> None:
    statement = PreparedStatement(select(literal(1).op("/")(bindparam("secret", type_=Integer)).label("x")))
    connections = made(url)
    with pytest.raises(DBAPIError) as refused:
        connections.read(statement, {"secret": 0})
    assert "[parameters" not in str(refused.value)
    assert not is_outage(refused.value)
    connections.clear()
