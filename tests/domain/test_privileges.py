"""What the role that serves may do is checked by name, and is what the documentation and the deployment grant."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
import pytest
from flask import Flask

from authapp import create_app
from authapp.cli.doctor import doctor
from authapp.database.migrations import PACKAGE
from authapp.domain.health import Health
from authapp.domain.privileges import AUDIT_PRUNING, SERVING, Privileges
from authapp.models import TABLES
from conftest import dispose
from databases import Databases
from e2e.processes import ROOT
from e2e.test_grants import Roles, documented
from factories import PASSWORD, Api, problem
from settings import settings

ROLE = "authapp_documented"
GRANTS = (ROOT / "deploy" / "docker" / "grants.sql").read_text()
LACKING = [(table, privilege) for table, privileges in SERVING.items() for privilege in privileges]


def granted(statements: str, role: str) -> Privileges:
    """Return what the GRANT statements grant to ``role``."""
    found: dict[str, tuple[str, ...]] = {}
    for privileges, tables in re.findall(rf"GRANT ([\w, ]+)\s+ON ([\w,\s]+) TO {role};", statements):
        for table in tables.split(","):
            found[table.strip()] = tuple(privileges.split(", "))
    return found


@pytest.mark.parametrize(
    ("statements", "role", "needed"),
    [
        (documented("authapp"), "authapp", SERVING),
        (documented("authapp_audit"), "authapp_audit", AUDIT_PRUNING),
        (GRANTS, "authapp", SERVING),
        (GRANTS, "authapp_audit", AUDIT_PRUNING),
    ],
    ids=["serving", "pruning events", "grants.sql: serving", "grants.sql: pruning events"],
)
def test_what_is_granted_is_what_the_code_says_is_needed(statements: str, role: str, needed: Privileges) -> None:
    assert granted(statements, role) == needed


def test_every_table_is_among_what_serving_needs() -> None:
    assert SERVING.keys() == {*TABLES, PACKAGE.version_table}


@pytest.fixture
def url(databases: Databases) -> Iterator[str]:
    with databases.migrated() as url:
        yield url


@pytest.fixture
def serving_url(url: str) -> Iterator[str]:
    """The address for a role with what the documentation grants."""
    roles = Roles(url)
    yield roles.url("authapp")
    roles.close()


@contextmanager
def application(url: str) -> Iterator[Flask]:
    app = create_app(settings(database_url=url))
    yield app
    dispose(app)


def run(url: str, *statements: str) -> None:
    connection = psycopg2.connect(url.replace("+psycopg2", ""))
    connection.autocommit = True
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.close()


def problems_of(app: Flask) -> dict[str, str]:
    """Return what the operator reads."""
    with app.app_context():
        return {
            component: each.for_operator for component, each in Health([PACKAGE], app.app_context).problems().items()
        }


def test_each_privilege_that_is_missing_is_named(url: str, serving_url: str) -> None:
    with application(serving_url) as app:
        assert problems_of(app) == {}
        for table, privilege in LACKING:
            run(url, f"REVOKE {privilege} ON {table} FROM {ROLE}")
            assert problems_of(app) == {"privileges": f"The role that serves lacks {privilege} on {table}."}
            run(url, f"GRANT {privilege} ON {table} TO {ROLE}")
        assert problems_of(app) == {}


def test_without_any_privilege_it_does_not_say_that_nothing_is_migrated(url: str, serving_url: str) -> None:
    run(url, f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {ROLE}")
    with application(serving_url) as app:
        assert problems_of(app).keys() == {"privileges"}
        for table, privilege in LACKING:
            assert f"{privilege} on {table}" in problems_of(app)["privileges"]


def test_a_schema_that_the_role_may_not_use_is_named(url: str, serving_url: str) -> None:
    run(url, "REVOKE USAGE ON SCHEMA public FROM PUBLIC")
    with application(serving_url) as app:
        assert problems_of(app) == {"privileges": "The role that serves lacks USAGE on schema public."}


def test_the_log_and_the_doctor_name_what_is_missing_and_a_registration_is_refused(
    url: str, serving_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    run(url, f"REVOKE INSERT ON audit_events FROM {ROLE}")
    with application(serving_url) as app:
        api = Api(app.test_client())
        ready = problem(api.client.get("/health/ready"), 503, "service_unavailable")
        sentence = "The role that serves lacks INSERT on audit_events."
        plain = "The database does not grant what a server needs."
        assert ready["errors"] == [{"pointer": "#/privileges", "detail": plain}]
        assert ready["detail"] == plain, "guests learn no names of tables"
        assert caplog.messages[-1] == f"Not ready: privileges: {plain} {sentence}"
        checked = app.test_cli_runner().invoke(doctor)
        assert checked.exit_code == 1
        assert f"fail  privileges: {sentence}" in checked.stdout
        account = {"username": "ada", "email": "ada@example.com", "password": PASSWORD}
        problem(api.post("/auth/register", account), 503, "service_unavailable")

        run(url, f"GRANT INSERT ON audit_events TO {ROLE}")
        assert api.client.get("/health/ready").status_code == 200
        assert "ok    privileges" in app.test_cli_runner().invoke(doctor).stdout


def test_privileges_that_were_complete_are_not_asked_for_again_each_time(
    url: str, serving_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr("authapp.domain.health.missing_privileges", lambda tables: asked.append(tables) or [])
    with application(serving_url) as app, app.app_context():
        health = Health([PACKAGE], app.app_context)
        for _ in range(3):
            assert health.problems() == {}
    assert len(asked) == 1
