"""A database that cannot be asked is reported in one line, like everything else that goes wrong."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg2
import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import TimeoutError as PoolTimeout

from authapp import create_app
from authapp.database.session import db
from authapp.domain.users.accounts import Accounts
from cli.invoking import flask_tokens, flask_users, refused
from conftest import dispose
from databases import Databases
from settings import settings

LOCKED = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'lock_not_available'; END $$"
NOBODY_LISTENS = "postgresql+psycopg2://authapp:db-Passw0rd@127.0.0.1:1/authapp"


@contextmanager
def application(url: str) -> Iterator[Flask]:
    app = create_app(settings(database_url=url))
    yield app
    dispose(app)


@pytest.mark.parametrize("command", [["list"], ["list", "--json"], ["show", "grace"], ["delete", "grace", "--yes"]])
def test_a_database_that_is_down_is_reported_in_one_line(command: list[str]) -> None:
    with application(NOBODY_LISTENS) as app:
        result = flask_users(app, *command)

    refused(result, "The database cannot be asked")
    assert "db-Passw0rd" not in result.stderr


def test_a_database_that_is_not_migrated_is_reported_in_one_line(databases: Databases) -> None:
    with databases.empty() as url, application(url) as app:
        refused(flask_users(app, "list"), "The database cannot be asked", "flask db upgrade")
        refused(flask_tokens(app, "prune"), "The database cannot be asked", "flask db upgrade")


def test_a_pool_that_is_exhausted_is_reported_in_one_line(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(self: Accounts, name: str) -> Callable[[], None]:
        raise PoolTimeout

    monkeypatch.setattr(Accounts, "find", find)

    refused(flask_users(app, "show", "grace"), "The database cannot be asked")


COMMANDS = [
    "db upgrade", "db downgrade", "db stamp head", "db current", "db check", "users list", "users show grace",
    "users disable grace", "roles list", "roles create desk", "roles delete desk --yes", "tokens prune", "audit list",
    "audit prune --older-than 1d",
]  # fmt: skip


@pytest.fixture(scope="module")
def powerless(databases: Databases) -> Iterator[Flask]:
    """An application on a migrated database, whose role may not do anything there."""
    with databases.migrated() as url:
        execute(url, "CREATE ROLE powerless LOGIN")
        with application(make_url(url).set(username="powerless").render_as_string(hide_password=False)) as app:
            yield app
        execute(url, "DROP ROLE powerless")


def execute(url: str, statement: str) -> None:
    connection = psycopg2.connect(url.replace("+psycopg2", ""))
    with connection, connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_role_that_may_not_is_told_so_in_one_line(powerless: Flask, command: str) -> None:
    result = powerless.test_cli_runner().invoke(args=command.split())

    refused(result, "may not do this: permission denied for table", "Migrate as the role that owns the tables")


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_server_every_command_ends_with_one_line(command: str) -> None:
    with application(NOBODY_LISTENS) as app:
        result = app.test_cli_runner().invoke(args=command.split())

    refused(result, "nothing listens at its address", "Check DATABASE_URL")


def test_migrating_a_database_of_somebody_else_ends_with_one_line(databases: Databases) -> None:
    with databases.empty() as url, application(url) as app:
        execute(url, "CREATE TABLE users (id integer)")
        refused(app.test_cli_runner().invoke(args=["db", "upgrade"]), 'relation "users" already exists', "of its own")


def test_migrating_into_a_schema_that_is_not_there_ends_with_one_line(databases: Databases) -> None:
    with databases.empty() as url:
        nowhere = make_url(url).update_query_dict({"options": "-csearch_path=nowhere"})
        with application(nowhere.render_as_string(hide_password=False)) as app:
            refused(app.test_cli_runner().invoke(args=["db", "upgrade"]), "CREATE SCHEMA")


@pytest.mark.parametrize("statement", ["SET LOCAL statement_timeout = 1; SELECT pg_sleep(1)", LOCKED])
def test_a_database_that_answers_and_gives_up_is_not_blamed_on_the_settings(
    app: Flask, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    def find(self: Accounts, name: str) -> None:
        db.session.execute(text(statement))

    monkeypatch.setattr(Accounts, "find", find)

    result = flask_users(app, "show", "grace")

    refused(result, "PostgreSQL gave up", "Run it again")
    assert "DATABASE_URL" not in result.stderr
