"""What ``flask db upgrade --sql`` prints, run by somebody else, makes the same database as ``flask db upgrade``."""

import subprocess

from tools.embedded_postgres import BINARIES

from databases import Databases, psql
from e2e.processes import environment, flask

NOBODY_LISTENS = "postgresql://nobody@127.0.0.1:1/nothing"


def dumped(url: str) -> list[str]:
    """Return the schema and the rows of a database."""
    command = [BINARIES / "pg_dump", "--inserts", "-d", url.replace("+psycopg2", "")]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in lines if not line.startswith(("\\restrict", "\\unrestrict"))]


def printed(*arguments: str) -> str:
    """Return the SQL that a command prints; it asks no database."""
    done = flask(environment(NOBODY_LISTENS), "db", *arguments, "--sql")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_printed_upgrade_makes_the_same_database(databases: Databases) -> None:
    with databases.migrated() as migrated, databases.empty() as url:
        psql(url, printed("upgrade"))

        assert dumped(url) == dumped(migrated)
        assert any(line.startswith("INSERT INTO public.roles VALUES ('admin'") for line in dumped(url))


def test_the_printed_upgrade_may_be_run_in_parts_and_taken_back(databases: Databases) -> None:
    with databases.migrated() as migrated, databases.empty() as url:
        psql(url, printed("upgrade", "0002"))
        psql(url, printed("upgrade", "0002:head"))
        assert dumped(url) == dumped(migrated)

        psql(url, printed("downgrade", "head:0002"))
        psql(url, printed("upgrade", "0002:head"))
        assert sorted(dumped(url)) == sorted(dumped(migrated)), "a column that comes back is the last one"
