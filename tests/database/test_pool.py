"""The pool: no more connections than allowed, dead ones replaced, and no request waits longer than it may."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from sqlalchemy import Double, Integer, bindparam, create_engine, func, literal, select, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from authapp.database import deadline, pool
from authapp.database.connecting import DeadlinePool, connect_arguments, connector
from authapp.database.pool import Pool
from authapp.database.prepared import Prepared
from authapp.extensions import is_outage
from databases import Databases

ONE = Prepared(select(literal(1).label("one")))
PID = Prepared(select(func.pg_backend_pid().label("pid")))
SLEEP = Prepared(select(func.pg_sleep(bindparam("seconds", type_=Double)).label("slept")))
NOBODY_LISTENS = "postgresql+psycopg2://nobody@127.0.0.1:1/nothing"


@pytest.fixture(scope="module")
def url(databases: Databases) -> Iterator[str]:
    with databases.empty() as url:
        yield url


def made(url: str, *, size: int = 2, timeout: float = 1.0) -> Pool:
    return Pool(connector(url, connect_arguments(timeout)), size=size, timeout=timeout)


def terminate(url: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'authapp'"
        connection.execute(text(ours))
    engine.dispose()


def test_a_connection_is_used_again_and_the_last_one_first(url: str) -> None:
    connections = made(url)
    assert len({connections.first(PID, {}).pid for _ in range(5)}) == 1
    connections.clear()


def test_no_more_are_open_than_allowed_and_nobody_is_forgotten(url: str) -> None:
    connections = made(url, size=3, timeout=5)
    with ThreadPoolExecutor(12) as threads:
        pids = list(threads.map(lambda _: connections.first(PID, {}).pid, range(200)))
    assert len(set(pids)) <= 3
    connections.clear()


def test_dead_connections_cost_nothing_but_fresh_ones(url: str) -> None:
    connections = made(url, size=4)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: connections.first(SLEEP, {"seconds": 0.1}), range(4)))
    terminate(url)
    assert connections.first(ONE, {}).one == 1
    connections.clear()


def test_a_database_that_is_not_there_is_an_outage_at_once() -> None:
    start = time.monotonic()
    with pytest.raises(OperationalError) as refused:
        made(NOBODY_LISTENS).first(ONE, {})
    assert is_outage(refused.value)
    assert time.monotonic() - start < 1


def test_a_pool_in_which_all_are_busy_is_an_outage_when_the_time_is_over(url: str) -> None:
    connections = made(url, size=1, timeout=1.0)

    def sleep() -> None:
        with pytest.raises(DBAPIError):
            connections.first(SLEEP, {"seconds": 5})

    busy = threading.Thread(target=sleep)
    busy.start()
    time.sleep(0.1)

    def application(_environ: dict[str, object], _start: object) -> list[bytes]:
        with pytest.raises(PoolTimeout) as refused:
            connections.first(ONE, {})
        assert is_outage(refused.value)
        return []

    start = time.monotonic()
    deadline.Bounded(application, 0.2)({}, lambda *_: None)
    assert time.monotonic() - start < 0.4
    busy.join()
    assert connections.first(ONE, {}).one == 1, "the place of one that failed is free again"
    connections.clear()


def test_a_statement_that_the_server_gives_up_leaves_the_connection_usable(url: str) -> None:
    connections = made(url, timeout=0.5)
    pid = connections.first(PID, {}).pid
    with pytest.raises(OperationalError) as refused:
        connections.first(SLEEP, {"seconds": 5})
    assert is_outage(refused.value)
    assert connections.first(PID, {}).pid == pid
    connections.clear()


def test_statements_share_the_deadline_of_their_request(url: str) -> None:
    connections = made(url, timeout=1.0)
    told: list[float] = []

    def application(_environ: dict[str, object], _start: object) -> list[bytes]:
        start = time.monotonic()
        with suppress(OperationalError):
            for _ in range(10):
                connections.first(SLEEP, {"seconds": 0.3})
        told.append(time.monotonic() - start)
        return []

    deadline.Bounded(application, 1.0)({}, lambda *_: None)
    assert 0.9 < told[0] < 1.3
    assert connections.first(SLEEP, {"seconds": 0.3}) is not None, "afterwards there is no deadline"
    connections.clear()


def test_what_is_not_the_databases_time_does_not_count() -> None:
    left: list[float] = []

    def application(_environ: dict[str, object], _start: object) -> list[bytes]:
        with deadline.paused():
            time.sleep(0.3)
        left.append(deadline.left(10))
        return []

    deadline.Bounded(application, 1.0)({}, lambda *_: None)
    assert 0.9 < left[0] <= 1.0
    assert deadline.left(10) > 9.9


def test_a_connection_gets_no_older_than_allowed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connections = made(url)
    first = connections.first(PID, {}).pid
    monkeypatch.setattr(pool, "MAX_AGE", -1.0)
    assert connections.first(PID, {}).pid == first
    assert connections.first(PID, {}).pid != first
    connections.clear()


def test_sqlalchemys_pool_waits_no_longer_than_the_request_may(url: str) -> None:
    engine = create_engine(url, poolclass=DeadlinePool, pool_size=1, max_overflow=0, pool_timeout=30)
    told: list[float] = []

    def application(_environ: dict[str, object], _start: object) -> list[bytes]:
        start = time.monotonic()
        with engine.connect(), pytest.raises(PoolTimeout):
            engine.connect()
        told.append(time.monotonic() - start)
        return []

    deadline.Bounded(application, 0.5)({}, lambda *_: None)
    assert told[0] < 1
    renewed = engine.pool.recreate()
    assert renewed.timeout() > 29  # type: ignore[attr-defined]
    engine.dispose()


def test_errors_show_no_parameters(url: str) -> None:
    statement = Prepared(select(literal(1).op("/")(bindparam("secret", type_=Integer)).label("x")))
    connections = made(url)
    with pytest.raises(DBAPIError) as refused:
        connections.first(statement, {"secret": 0})
    assert "[parameters" not in str(refused.value)
    assert not is_outage(refused.value)
    connections.clear()
