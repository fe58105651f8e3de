"""What operators have set for their server, role and address, and what it does to the service: nothing."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy.engine import make_url

from databases import Databases
from e2e.processes import environment, flask, serving
from e2e.test_parallel_refresh import at_once, log_in, register
from e2e.test_pgbouncer import a_life, pooling

DEFAULTS = {
    "default_transaction_isolation": "repeatable read",
    "timezone": "Asia/Tokyo",
    "datestyle": "SQL, DMY",
    "intervalstyle": "sql_standard",
    "standard_conforming_strings": "off",
    "bytea_output": "escape",
    "client_encoding": "LATIN1",
}
ROUNDS, AT_ONCE = 10, 32


@contextmanager
def executing(url: str) -> Iterator[psycopg2.extensions.cursor]:
    connection = psycopg2.connect(url.replace("+psycopg2", ""))
    connection.autocommit = True
    try:
        yield connection.cursor()
    finally:
        connection.close()


@pytest.mark.parametrize("pooled", [False, True], ids=["directly", "behind a pooler"])
def test_under_other_defaults_refreshes_at_once_all_succeed(databases: Databases, tmp_path: Path, pooled: bool) -> None:
    with databases.migrated() as url:
        with executing(url) as cursor:
            for name, value in DEFAULTS.items():
                cursor.execute(f'ALTER DATABASE "{make_url(url).database}" SET {name} = %s', [value])
        if not pooled:
            refresh_at_once(url, tmp_path)
            return
        with pooling(tmp_path / "pgbouncer", url) as through:
            refresh_at_once(through, tmp_path)


def refresh_at_once(url: str, folder: Path) -> None:
    with serving(folder, environment(url)) as server:
        register(server)
        outcomes: Counter[tuple[int, str | None]] = Counter()
        for _ in range(ROUNDS):
            pair = log_in(server)
            answers = at_once(server, [("POST", "/auth/refresh", pair["refresh_token"])] * AT_ONCE)
            outcomes.update(answer.outcome for answer in answers)
        assert outcomes == {(200, None): ROUNDS * AT_ONCE}
        a_life(server, "ada")
        assert '"ERROR"' not in server.log


def test_the_schema_in_the_address_is_where_everything_is(databases: Databases, tmp_path: Path) -> None:
    with databases.empty() as url:
        with executing(url) as cursor:
            cursor.execute("CREATE SCHEMA auth")
        address = make_url(url).update_query_dict({"options": "-csearch_path=auth"})
        variables = environment(address.render_as_string(hide_password=False))

        upgraded = flask(variables, "db", "upgrade")

        assert upgraded.returncode == 0, upgraded.stderr
        with executing(url) as cursor:
            cursor.execute("SELECT schemaname, count(*) FROM pg_tables WHERE tablename = 'users' GROUP BY 1")
            assert cursor.fetchall() == [("auth", 1)]
            cursor.execute("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace")
            assert cursor.fetchone() == (0,)
        assert flask(variables, "db", "check").returncode == 0
        with serving(tmp_path, variables) as server:
            a_life(server, "ada")
            assert '"ERROR"' not in server.log
        assert flask(variables, "tokens", "prune").returncode == 0
