"""What a connection's session is like: what the operator asks for stays, and what the code relies on is so."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg2
import pytest
from flask import Flask
from sqlalchemy import Integer, column, create_engine, func, select, table, text, update
from sqlalchemy.engine import make_url

from authapp import create_app
from authapp.database.connect import Servers, connect_arguments, connector
from authapp.database.fast_path import FastPath, PreparedStatement
from authapp.database.orphaned_backends import OrphanedBackends
from authapp.database.session import db
from conftest import dispose
from databases import Databases
from settings import settings

HOSTILE = {
    "default_transaction_isolation": "serializable",
    "timezone": "Asia/Tokyo",
    "datestyle": "SQL, DMY",
    "intervalstyle": "sql_standard",
    "standard_conforming_strings": "off",
    "bytea_output": "escape",
    "client_encoding": "LATIN1",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "1h",
}
WANTED = {
    "default_transaction_isolation": "read committed",
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "standard_conforming_strings": "on",
    "bytea_output": "hex",
    "client_encoding": "UTF8",
    "statement_timeout": "2s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "1min",
}


@pytest.fixture
def url(databases: Databases) -> Iterator[str]:
    with databases.empty() as url:
        yield url


@contextmanager
def application(url: str) -> Iterator[Flask]:
    app = create_app(settings(database_url=url))
    yield app
    dispose(app)


def run(url: str, *statements: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def with_defaults(url: str, defaults: Mapping[str, str]) -> None:
    name = make_url(url).database
    run(url, *(f"ALTER DATABASE \"{name}\" SET {setting} = '{value}'" for setting, value in defaults.items()))


def opened_by_both(url: str) -> Iterator[psycopg2.extensions.connection]:
    """Yield a connection of each pool."""
    for connection in (Servers(url, connect_arguments(2.5)).open(), connector(url, connect_arguments(2.5))()):
        try:
            yield connection
        finally:
            connection.close()


def shown(connection: psycopg2.extensions.connection, *names: str) -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, current_setting(name) FROM unnest(%s) AS name", (list(names),))
        return dict(cursor.fetchall())


def test_the_defaults_of_a_database_change_nothing_that_the_code_relies_on(url: str) -> None:
    with_defaults(url, HOSTILE)
    for connection in opened_by_both(url):
        assert shown(connection, *WANTED) == WANTED


def test_the_environment_changes_nothing_that_the_code_relies_on(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PGTZ": "Asia/Tokyo", "PGCLIENTENCODING": "LATIN1", "PGDATESTYLE": "SQL, DMY"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PGOPTIONS", r"-c default_transaction_isolation=repeatable\ read -c timezone=Asia/Tokyo")
    for connection in opened_by_both(url):
        assert shown(connection, *WANTED) == WANTED


def test_the_address_changes_nothing_that_the_code_relies_on(url: str) -> None:
    asked = "-c timezone=Asia/Tokyo -c default_transaction_isolation=serializable -c standard_conforming_strings=off"
    address = make_url(url).update_query_dict({"options": asked, "client_encoding": "LATIN1"})
    for connection in opened_by_both(address.render_as_string(hide_password=False)):
        names = ("TimeZone", "default_transaction_isolation", "standard_conforming_strings", "client_encoding")
        assert shown(connection, *names) == {name: WANTED[name] for name in names}
        # A SET inside a transaction would be undone with it.
        connection.rollback()
        assert shown(connection, *names) == {name: WANTED[name] for name in names}


def test_what_the_operator_asks_for_in_the_address_stays_and_ours_is_added(url: str) -> None:
    asked = {
        "options": "-c statement_timeout=700 -csearch_path=auth --work_mem=8MB",
        "application_name": "auth-eu-1",
        "tcp_user_timeout": "9000",
        "keepalives_idle": "77",
    }
    for connection in opened_by_both(make_url(url).update_query_dict(asked).render_as_string(hide_password=False)):
        assert shown(
            connection, "statement_timeout", "lock_timeout", "search_path", "work_mem", "application_name"
        ) == {
            "statement_timeout": "700ms",
            "lock_timeout": "2s",
            "search_path": "auth",
            "work_mem": "8MB",
            "application_name": "auth-eu-1",
        }
        parameters = connection.info.dsn_parameters
        assert (parameters["tcp_user_timeout"], parameters["keepalives_idle"]) == ("9000", "77")


def test_what_the_operator_asks_for_in_the_environment_stays(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c search_path=auth")
    monkeypatch.setenv("PGAPPNAME", "auth-eu-1")
    for connection in opened_by_both(url):
        assert shown(connection, "search_path", "application_name", "lock_timeout") == {
            "search_path": "auth",
            "application_name": "auth-eu-1",
            "lock_timeout": "2s",
        }


def test_a_transaction_is_read_committed_whatever_a_pooler_does_with_the_options(url: str) -> None:
    with application(url) as app, app.app_context():
        # What a connection is like behind a pooler that has dropped the options.
        db.session.execute(text("SET default_transaction_isolation = 'serializable'"))
        db.session.commit()
        assert db.session.scalar(text("SHOW transaction_isolation")) == "read committed"
        db.session.rollback()


COUNTS = table("counts", column("n", Integer))
COUNT = PreparedStatement(update(COUNTS).values(n=COUNTS.c.n + 1).returning(COUNTS.c.n))
LIKE_BEHIND_A_POOLER = PreparedStatement(
    select(func.set_config("default_transaction_isolation", "repeatable read", False).label("level"))
)


@pytest.mark.parametrize("prepared", [False, True], ids=["the first time", "again"])
def test_a_write_that_waited_for_another_one_sees_what_it_wrote(url: str, prepared: bool) -> None:
    run(url, "CREATE TABLE counts (n integer)", "INSERT INTO counts VALUES (0)")
    orphaned = OrphanedBackends(2.5, enabled=False)
    fast_path = FastPath(connector(url, connect_arguments(2.5)), orphaned, size=2, timeout=2.5)
    fast_path.read(LIKE_BEHIND_A_POOLER, {})
    if prepared:
        assert fast_path.write(COUNT, {}).n == 1
    with psycopg2.connect(url.replace("+psycopg2", "")) as other, ThreadPoolExecutor(1) as pool:
        with other.cursor() as cursor:
            cursor.execute("UPDATE counts SET n = 10")
            written = pool.submit(fast_path.write, COUNT, {})
            until_a_backend_waits(url)
        other.commit()
        assert written.result().n == 11
    fast_path.clear()
    other.close()


def until_a_backend_waits(url: str) -> None:
    blocked = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    engine, give_up_at = create_engine(url), time.monotonic() + 10
    with engine.connect() as connection:
        while not connection.scalar(text(blocked)):
            assert time.monotonic() < give_up_at
            connection.rollback()
            time.sleep(0.02)
    engine.dispose()
