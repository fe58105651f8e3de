"""Databases for tests, on a real PostgreSQL: the embedded one, or the one that TEST_DATABASE_URL names."""

import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask_migrate import upgrade
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url
from tools.embedded_postgres import BINARIES, FAST_AND_LOSSY, EmbeddedPostgres

from authapp import AuthApp, create_app
from authapp.config import normalised_database_url
from settings import settings

ROOT = Path(__file__).resolve().parent.parent
_numbers = itertools.count(1)


def psql(url: str, statements: str) -> None:
    """Run SQL as an operator does, each statement in a transaction of its own unless they say otherwise."""
    command = [BINARIES / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url.replace("+psycopg2", "")]
    environment = os.environ | {"PGOPTIONS": "-c client_min_messages=warning"}
    done = subprocess.run(command, input=statements, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


class Databases:
    """Makes migrated databases, each a copy of one template."""

    def __init__(self, server: URL) -> None:
        self._server = server
        self._admin = create_engine(server, isolation_level="AUTOCOMMIT")
        self._prefix = f"authapp_test_{os.getpid()}"
        self._template = self._create("template")
        app = create_app(settings(database_url=self._template))
        with app.app_context():
            upgrade(directory=str(ROOT / "migrations"))
            AuthApp.of(app).close_connections()

    @contextmanager
    def empty(self) -> Iterator[str]:
        """Lend the address of a database without tables."""
        name = f"{self._prefix}_{next(_numbers)}"
        yield self._create_named(name)
        self._drop(name)

    @contextmanager
    def migrated(self) -> Iterator[str]:
        """Lend the address of a database with the tables and no rows."""
        name = f"{self._prefix}_{next(_numbers)}"
        yield self._create_named(name, template=f"{self._prefix}_template")
        self._drop(name)

    def forget_connections(self) -> None:
        """Close what is pooled: the server may have been another since."""
        self._admin.dispose()

    def close(self) -> None:
        """Drop the template."""
        self._drop(f"{self._prefix}_template")
        self._admin.dispose()

    def _create(self, suffix: str) -> str:
        return self._create_named(f"{self._prefix}_{suffix}")

    def _create_named(self, name: str, template: str = "template0") -> str:
        with self._admin.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
        return self._server.set(database=name).render_as_string(hide_password=False)

    def _drop(self, name: str) -> None:
        with self._admin.connect() as connection:
            connection.execute(text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))


@contextmanager
def server(folder: Path) -> Iterator[URL]:
    """Lend a PostgreSQL server: that of TEST_DATABASE_URL, or an embedded one in ``folder``."""
    named = os.environ.get("TEST_DATABASE_URL", "").strip()
    if named:
        try:
            url = normalised_database_url(named)
        except ValueError as error:
            pytest.exit(f"TEST_DATABASE_URL {error}", returncode=pytest.ExitCode.USAGE_ERROR)
        yield make_url(url)
        return
    postgres = EmbeddedPostgres(folder, FAST_AND_LOSSY)
    postgres.start()
    try:
        yield make_url(postgres.url("postgres"))
    finally:
        postgres.stop()
