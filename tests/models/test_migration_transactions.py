"""Migrations give way to requests: short waits for locks, one table locked at a time, each migration committed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import Connection, create_engine, event, text

from authapp import create_app
from authapp.database import upgrades
from authapp.database.session import db
from authapp.database.upgrades import without_time_limits
from conftest import dispose
from databases import ROOT, Databases
from factories import Api, a_session, a_user
from settings import settings

MIGRATIONS = str(ROOT / "migrations")
SECONDS = 30
BACKUP_SECONDS = 4
BY_ONE_STATEMENT = [("0005", {"users", "sessions"}), ("0005", {"users", "token_blocklist"})]
"""Tables that are locked together: a foreign key is dropped from both of its tables."""


@contextmanager
def application(url: str) -> Iterator[Flask]:
    app = create_app(settings(database_url=url))
    yield app
    dispose(app)


@contextmanager
def reading(url: str, table: str) -> Iterator[None]:
    """Hold the lock of a transaction that has only read: a backup, or a statement of a node that serves."""
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.execute(text(f"LOCK TABLE {table} IN ACCESS SHARE MODE"))
        yield
    engine.dispose()


def version(url: str) -> str:
    engine = create_engine(url)
    with engine.connect() as connection:
        found: str = connection.scalar(text("SELECT version_num FROM alembic_version"))
    engine.dispose()
    return found


def migrate(app: Flask, revision: str) -> None:
    with app.app_context(), without_time_limits():
        upgrade(MIGRATIONS, revision)


def test_a_migration_is_committed_before_the_next_one_waits_for_a_lock(databases: Databases) -> None:
    with databases.empty() as url, application(url) as app:
        migrate(app, "0005")
        migrating = Thread(target=migrate, args=(app, "0007"))
        # 0006 only writes rows, and 0007 changes the table.
        with reading(url, "users"):
            migrating.start()
            end = time.monotonic() + SECONDS
            while version(url) != "0006" and time.monotonic() < end and migrating.is_alive():
                time.sleep(0.05)
            seen = version(url)
        migrating.join(SECONDS)
        assert (seen, version(url)) == ("0006", "0007")


def test_requests_are_answered_while_a_migration_waits_for_a_backup(databases: Databases) -> None:
    with databases.migrated() as url, application(url) as node, application(url) as app:
        token = a_session(node, a_user(node, "ada")).access_token
        with app.app_context(), without_time_limits():
            downgrade(MIGRATIONS, "0013")
        migrating = Thread(target=migrate, args=(app, "0014"))
        answers, api = set(), Api(node.test_client())
        with reading(url, "users"):
            migrating.start()
            end = time.monotonic() + BACKUP_SECONDS
            while time.monotonic() < end:
                answers.add(api.get("/ping", token).status_code)
            assert version(url) == "0013", "nothing has stood in its way"
        migrating.join(SECONDS)
        assert (answers, version(url)) == ({200}, "0014")


def test_a_lock_that_is_never_free_ends_the_upgrade_which_says_what_stays(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrades, "TRIES", 2)
    with databases.empty() as url, application(url) as app:
        migrate(app, "0005")
        with reading(url, "users"):
            result = app.test_cli_runner().invoke(args=["db", "upgrade"])
        said, _, error = result.stderr.partition("Error: ")
        assert "Another transaction, such as a backup, uses a table" in said
        assert "PostgreSQL gave up (SQLSTATE 55P03)" in error
        assert "what the command had done before it stays. Run it again." in error
        assert version(url) == "0006", "the one before stays"


def test_a_relative_downgrade_that_had_to_wait_goes_no_further(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    with databases.empty() as url, application(url) as app:
        migrate(app, "0010")
        holding = reading(url, "totp_factors")
        holding.__enter__()
        monkeypatch.setattr(upgrades.time, "sleep", lambda _seconds: holding.__exit__(None, None, None))
        with app.app_context(), without_time_limits():
            downgrade(MIGRATIONS, "-2")  # the tables of 0010 are free, and those of 0009 at the second try
        assert version(url) == "0008"


def test_no_transaction_of_a_migration_locks_two_tables_that_a_request_uses(databases: Databases) -> None:
    with databases.empty() as url, application(url) as app:
        others = create_engine(url)
        locked: list[tuple[str, set[str]]] = []

        def record_locks(connection: Connection) -> None:
            cursor = connection.connection.cursor()
            cursor.execute(
                "SELECT relation::regclass::text FROM pg_locks JOIN pg_class ON pg_class.oid = relation"
                " WHERE pid = pg_backend_pid() AND relkind = 'r'"
                " AND mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')"
            )
            tables = {row[0] for row in cursor.fetchall()}
            with others.connect() as other:
                shown = set(other.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")))
            locked.append((script.revision, tables & shown))

        migrate(app, "0003")
        with app.app_context():
            engine = db.engine
        event.listen(engine, "commit", record_locks)
        for script in reversed(list(ScriptDirectory(MIGRATIONS).iterate_revisions("head", "0003"))):
            migrate(app, script.revision)
        event.remove(engine, "commit", record_locks)
        others.dispose()
        assert [tables for _, tables in locked if tables], "no lock was seen"
        assert [each for each in locked if len(each[1]) > 1 and each not in BY_ONE_STATEMENT] == []
