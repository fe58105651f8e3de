"""A connection that fails says why, to the operator, and quotes nothing of the address."""

from collections.abc import Callable, Iterator

import psycopg2
import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from authapp import create_app
from authapp.cli.doctor import doctor
from authapp.cli.users import users
from authapp.database.errors import is_outage
from authapp.database.reasons import reason
from authapp.database.session import db
from e2e.trouble import Postgres
from factories import problem
from settings import settings

SECRET = "db-Passw0rd"
HBA = """
local all asks scram-sha-256
local all postgres trust
local all serves trust
local all nobody trust
local all no_login trust
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[URL]:
    server = Postgres(tmp_path_factory.mktemp("reasons"), ("max_connections=20", "superuser_reserved_connections=1"))
    server.start()
    try:
        server.execute("postgres", f"CREATE ROLE asks LOGIN PASSWORD '{SECRET}'")
        server.execute("postgres", "CREATE ROLE serves LOGIN")
        server.execute("postgres", "CREATE ROLE no_login")
        server.execute("postgres", "CREATE DATABASE closed")
        server.execute("postgres", "REVOKE ALL ON DATABASE closed FROM PUBLIC")
        (server.data / "pg_hba.conf").write_text(HBA)
        server.execute("postgres", "SELECT pg_reload_conf()")
        yield make_url(server.url("postgres")).update_query_dict({"connect_timeout": "5"})
    finally:
        server.stop()


Change = Callable[[URL], URL]

REASONS: dict[str, tuple[Change, str]] = {
    "wrong password": (lambda url: url.set(username="asks", password="wr0ng-" + SECRET), "the password is wrong"),
    "no password": (lambda url: url.set(username="asks"), "asks for a password"),
    "no role": (lambda url: url.set(username="nobody", password=SECRET), "there is no such role"),
    "no login": (lambda url: url.set(username="no_login", password=SECRET), "the role may not log in"),
    "no database": (lambda url: url.set(database=SECRET), "there is no database of that name"),
    "no grant": (lambda url: url.set(username="serves", database="closed"), "GRANT CONNECT"),
    "not in pg_hba.conf": (lambda url: url.set(username="stranger", password=SECRET), "pg_hba.conf"),
    "no such setting": (lambda url: url.update_query_dict({"options": f"-c x.y=1 -c nope={SECRET}"}), "`options`"),
    "a bad setting": (lambda url: url.update_query_dict({"options": f"-c work_mem={SECRET}"}), "`options`"),
    "no option": (lambda url: url.update_query_dict({"options": SECRET}), "`options`"),
    "a bad value": (lambda url: url.update_query_dict({"sslmode": SECRET}), "an option that libpq does not know"),
    "nobody there": (lambda url: url.update_query_dict({"host": f"/tmp/{SECRET}"}), "nothing listens"),
    "no such host": (lambda url: url.update_query_dict({"host": f"{SECRET}.invalid"}), "cannot be looked up"),
}


@pytest.mark.parametrize(("change", "words"), REASONS.values(), ids=REASONS)
def test_a_connection_that_fails_says_why(
    address: URL, change: Change, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(settings(database_url=change(address).render_as_string(hide_password=False)))

    doctors = app.test_cli_runner().invoke(doctor).stdout
    commands = app.test_cli_runner().invoke(users, ["list"]).stderr
    ready = problem(app.test_client().get("/health/ready"), 503, "service_unavailable")
    answered = app.test_client().post("/api/v1/auth/login", json={"username": "ada", "password": "a long sentence"})

    assert [line for line in doctors.splitlines() if line.startswith("fail  database") and words in line]
    assert commands.startswith("Error: The database cannot be asked: ")
    assert words in commands
    assert commands.count("\n") == 1
    assert words not in str(ready), "the public is not told"
    problem(answered, 503, "service_unavailable")
    logged = [record.getMessage() for record in caplog.records]
    assert len([line for line in logged if words in line]) >= 2, "for the readiness, and for the login"
    assert SECRET not in "".join([doctors, commands, *logged])


TLS = {
    'connection to server at "db", port 5432 failed: FATAL:  connection requires a valid client certificate': "sslcert",
    'connection to server at "db", port 5432 failed: SSL error: certificate verify failed': "sslrootcert names",
    'root certificate file "/x/root.crt" does not exist\nEither provide the file, use ...': "set sslrootcert",
    'server certificate for "a" does not match host name "b"': "another host name",
    'could not open certificate file "/x": No such file': "sslcert or sslkey",
    'connection to server at "db" failed: server does not support SSL, but SSL was required': "has no TLS",
    "FATAL:  unsupported startup parameter: options": "the pooler refuses",
    "FATAL:  SASL authentication failed": "the password is wrong",
    "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute": "is in use",
    "FATAL:  the database system is starting up": "starting or stopping",
    "FATAL:  role \"standby\" does not exist": "there is no such role",
    "FATAL:  Passwort-Authentifizierung fehlgeschlagen": "the server's log may say why",
}  # fmt: skip


@pytest.mark.parametrize(("message", "words"), TLS.items())
def test_what_other_servers_say_is_recognised(message: str, words: str) -> None:
    error = OperationalError("", {}, psycopg2.OperationalError(message))
    assert words in (reason(error) or "")
    assert ";" not in (reason(error) or "").replace("failed; the server", ""), "one reason"


def test_of_several_servers_each_says_why(address: URL) -> None:
    here = str(address.query["host"])
    several = address.set(username="asks", password="wrong", query={"host": f"{here},127.0.0.1", "port": "5432,1"})
    app = create_app(settings(database_url=several.render_as_string(hide_password=False)))
    shown = app.test_cli_runner().invoke(users, ["list"]).stderr
    assert "the password is wrong" in shown
    assert "nothing listens" in shown


@pytest.mark.parametrize(
    ("statement", "name"),
    [("SELECT emial FROM users", "emial"), ("SELECT FROM userz", "userz")],
    ids=["column", "table"],
)
def test_a_name_that_is_wrong_is_told_from_one_that_is_not_there_yet(app: Flask, statement: str, name: str) -> None:
    """Both are outages: while the new version waits for its migrations, clients shall come back."""
    with app.app_context(), pytest.raises(SQLAlchemyError) as error:
        db.session.execute(text(statement))
    assert is_outage(error.value)
    assert f'"{name}" does not exist' in (reason(error.value) or "")
    assert "If there is nothing to upgrade, the statement is wrong" in (reason(error.value) or "")


def test_a_bug_has_no_reason(app: Flask) -> None:
    with app.app_context(), pytest.raises(SQLAlchemyError) as error:
        db.session.execute(text("SELECT 1 / 0"))
    assert reason(error.value) is None
    assert not is_outage(error.value)
