"""A database that cannot be asked is reported in one line, like everything else that goes wrong."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from sqlalchemy.exc import TimeoutError as PoolTimeout

from authapp import create_app
from authapp.domain.users.accounts import Accounts
from cli.invoking import flask_tokens, flask_users, refused
from conftest import dispose
from databases import Databases
from settings import settings

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
