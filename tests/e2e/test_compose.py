"""What deploy/docker/ does to PostgreSQL, done to one: two roles, and the one that serves may only that."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy.engine import make_url
from tools.embedded_postgres import BINARIES

from authapp.database.session_settings import PINNED, limits
from databases import Databases
from e2e.processes import ROOT, environment, flask, serving
from e2e.test_grants import documented
from e2e.test_pgbouncer import a_life

FOLDER = ROOT / "deploy" / "docker"
NAME = "authapp_composed"


def shipped(name: str, folder: Path) -> Path:
    """Return a copy of a shipped file, with the test's names for roles, database and secrets."""
    text = (FOLDER / name).read_text().replace("/run/secrets/", f"{folder}/")
    copy = folder / name
    copy.write_text(re.sub(r"\b(TO|ROLE|OWNER|DATABASE) authapp", rf"\1 {NAME}", text))
    return copy


def plain(url: str) -> str:
    return url.replace("+psycopg2", "")


def run(url: str, script: Path) -> None:
    psql = [BINARIES / "psql", "-X", "-v", "ON_ERROR_STOP=1", "-d", plain(url), "-f", script]
    done = subprocess.run(psql, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def ask(url: str, statement: str) -> str:
    connection = psycopg2.connect(plain(url))
    with connection, connection.cursor() as cursor:
        cursor.execute(statement)
        answer = str(cursor.fetchone()[0]) if cursor.description else ""
    connection.close()
    return answer


@pytest.fixture
def superuser(databases: Databases, tmp_path: Path) -> Iterator[str]:
    """The address of a database for the superuser of a server on which the image has run roles.sql."""
    for secret in ("owner_password", "authapp_password"):
        (tmp_path / secret).write_text("it's-secret\n")
    with databases.empty() as url:
        try:
            run(url, shipped("roles.sql", tmp_path))
            yield url
        finally:
            connection = psycopg2.connect(plain(url))
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
                cursor.execute(f"DROP ROLE IF EXISTS {NAME}, {NAME}_owner")
            connection.close()


def test_one_role_migrates_and_the_other_serves(superuser: str, tmp_path: Path) -> None:
    def address(role: str) -> str:
        where = make_url(superuser).set(database=NAME, username=role, password="it's-secret")
        return where.render_as_string(hide_password=False)

    owner, serves = address(f"{NAME}_owner"), address(NAME)
    migrated = flask(environment(owner), "db", "upgrade")
    assert migrated.returncode == 0, migrated.stderr
    run(owner, shipped("grants.sql", tmp_path))

    with serving(tmp_path, environment(serves)) as server:
        a_life(server, "ada")
        assert '"ERROR"' not in server.log
    for statement in ("DELETE FROM audit_events", "ALTER TABLE users ADD x int", "CREATE TABLE mine (x int)"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            ask(serves, statement)
    limit = ask(superuser, f"SELECT rolconnlimit FROM pg_roles WHERE rolname = '{NAME}'")
    assert 0 < int(limit) < int(ask(superuser, "SHOW max_connections"))
    # What authapp would have asked for, and a pooler has not passed on; PostgreSQL writes its own units.
    for name, value in (limits(2.5) | PINNED).items():
        given = f"SELECT set_config('{name}', '{value}', true) = '{ask(serves, f'SHOW {name}')}'"
        assert ask(superuser, given) == "True", name


def test_the_grants_are_those_of_the_page() -> None:
    granted = (FOLDER / "grants.sql").read_text()
    assert granted[granted.index("GRANT") :] == documented("authapp")


def test_the_settings_of_the_role_are_those_of_the_page() -> None:
    def settings(text: str) -> list[str]:
        return re.findall(r"ALTER ROLE authapp SET \w+ = '\w+';", text)

    shipped_ones = settings((FOLDER / "roles.sql").read_text())
    assert len(shipped_ones) == 4
    assert settings((ROOT / "docs" / "operations.md").read_text()) == shipped_ones
