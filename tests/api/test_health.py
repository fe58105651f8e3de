"""The service about itself."""

import threading
import time
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import text

from authapp import HealthProblem, create_app, readiness_checks
from authapp.database import deadline
from authapp.database.migrations import PACKAGE
from authapp.database.session import db
from authapp.domain.health import Health
from authapp.domain.readiness_checks import CHECK_SECONDS
from authapp.domain.services import Services
from conftest import dispose
from databases import Databases
from factories import Api, a_session, a_user, problem
from settings import settings


def test_a_request_with_a_live_token_is_answered(app: Flask, api: Api) -> None:
    assert api.get("/ping", a_session(app, a_user(app)).access_token).get_json() == {"message": "pong"}


def test_a_user_sees_their_own_account(app: Flask, api: Api) -> None:
    user = a_user(app, "Ada")
    me = api.get("/users/me", a_session(app, user).access_token).get_json()
    assert list(me) == [
        "id", "kind", "username", "email", "email_verified_at", "status", "roles", "created_at", "updated_at",
        "last_login_at", "pending_email", "permissions",
    ]  # fmt: skip
    assert (me["id"], me["username"], me["email"]) == (str(user.id), "Ada", "ada@example.com")
    assert me["email_verified_at"] is None


def test_a_migrated_database_is_ready(api: Api) -> None:
    assert api.client.get("/health/live").get_json() == {"status": "live"}
    assert api.client.get("/health/ready").get_json() == {"status": "ready"}


def test_without_a_database_nothing_is_allowed_and_the_process_lives(app: Flask) -> None:
    token = a_session(app, a_user(app)).access_token
    nowhere = create_app(settings(database_url="postgresql+psycopg2://x@127.0.0.1:1/x"))
    api = Api(nowhere.test_client())
    for answer in (api.get("/ping", token), api.log_in("ada"), api.client.get("/health/ready")):
        problem(answer, 503, "service_unavailable")
        assert answer.headers["Retry-After"] == "1"
    account = {"username": "ada", "email": "ada@example.com", "password": "a long sentence"}
    problem(api.post("/auth/register", account), 503, "service_unavailable")
    ready = problem(api.client.get("/health/ready"), 503, "service_unavailable")
    assert [error["pointer"] for error in ready["errors"]] == ["#/database"]
    assert api.client.get("/health/live").status_code == 200


@pytest.mark.committed
def test_a_database_without_tables_is_an_outage_too(
    app: Flask, databases: Databases, caplog: pytest.LogCaptureFixture
) -> None:
    token = a_session(app, a_user(app)).access_token
    with databases.empty() as url:
        api = Api(create_app(settings(database_url=url)).test_client())
        problem(api.get("/ping", token), 503, "service_unavailable")
        problem(api.log_in("ada"), 503, "service_unavailable")
        ready = problem(api.client.get("/health/ready"), 503, "service_unavailable")
        plain = "The database is behind this version: run `flask db upgrade`."
        assert ready["errors"] == [{"pointer": "#/migrations", "detail": plain}]
        assert f"Not ready: migrations: {plain} The database has not been migrated" in caplog.messages[-1]


@pytest.mark.committed
def test_a_read_only_database_is_an_outage_too(app: Flask, api: Api) -> None:
    user = a_user(app)
    pair = a_session(app, user)
    with app.app_context():
        name = db.engine.url.database
        db.session.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))
        db.session.commit()
    dispose(app)
    answers = (api.log_in(user.username), api.post("/auth/logout", token=pair.access_token))
    for answer in (*answers, api.post("/auth/refresh", token=pair.refresh_token)):
        problem(answer, 503, "service_unavailable")
    ready = problem(api.client.get("/health/ready"), 503, "service_unavailable")
    assert [error["pointer"] for error in ready["errors"]] == ["#/database"]


@pytest.mark.parametrize(
    ("statement", "revision"),
    [("DELETE FROM alembic_version", "none"), ("UPDATE alembic_version SET version_num = '0001'", "0001")],
)
def test_a_database_behind_the_migrations_is_not_ready(
    app: Flask, api: Api, statement: str, revision: str, caplog: pytest.LogCaptureFixture
) -> None:
    run_sql(app, statement)
    ready = problem(api.client.get("/health/ready"), 503, "service_unavailable")
    (error,) = ready["errors"]
    assert error["pointer"] == "#/migrations"
    (head,) = PACKAGE.heads
    assert error["detail"] == "The database is behind this version: run `flask db upgrade`."
    assert f"at migration {revision}, and this version needs {head}" in caplog.text


def test_a_database_past_the_migrations_is_ready(app: Flask, api: Api) -> None:
    run_sql(app, "UPDATE alembic_version SET version_num = '9999'")
    assert api.client.get("/health/ready").get_json() == {"status": "ready"}


def run_sql(app: Flask, statement: str) -> None:
    with app.app_context():
        db.session.execute(text(statement))
        db.session.commit()


def test_a_bug_is_answered_as_one_and_logged(app: Flask, api: Api, caplog: pytest.LogCaptureFixture) -> None:
    with app.app_context():
        db.session.execute(text("DROP INDEX ix_users_foreign_hash"))
        db.session.execute(text("ALTER TABLE users ALTER COLUMN password_hash TYPE integer USING 0"))
        db.session.commit()
    account = {"username": "ada", "email": "ada@example.com", "password": "a long sentence"}
    body = problem(api.post("/auth/register", account), 500, "internal_error")
    assert "integer" not in str(body)
    assert "argon2" not in caplog.text
    assert "the database refused a statement" in caplog.text


def unreadable() -> HealthProblem | None:
    raise OSError("a secret")


CHECKS: dict[str, Callable[[], HealthProblem | None]] = {
    "The key is missing.": lambda: HealthProblem("The key is missing.", "Set it."),
    "It cannot be checked.": unreadable,
}


@pytest.mark.parametrize("sentence", CHECKS)
def test_a_check_of_a_project_makes_it_not_ready(api: Api, sentence: str) -> None:
    readiness_checks.register("mail", CHECKS[sentence])
    try:
        answer = problem(api.client.get("/health/ready"), 503, "service_unavailable")
    finally:
        readiness_checks.unregister("mail")
    assert answer["errors"] == [{"pointer": "#/mail", "detail": sentence}]
    assert api.client.get("/health/ready").status_code == 200


def test_a_check_that_hangs_is_given_up_and_not_started_again(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    released, threads = threading.Event(), set(threading.enumerate())

    def hanging() -> HealthProblem | None:
        released.wait(30)
        return None

    monkeypatch.setattr("authapp.domain.readiness_checks.CHECK_SECONDS", 0.05)
    readiness_checks.register("mail", hanging)
    try:
        for _ in range(3):
            answer = problem(api.client.get("/health/ready"), 503, "service_unavailable")
            assert answer["errors"] == [{"pointer": "#/mail", "detail": "It cannot be checked."}]
        (hung,) = set(threading.enumerate()) - threads
        with app.app_context():
            assert Services.of(app).health.problems()["mail"].for_operator == "Reason: no answer in 0.05 s."
        released.set()
        hung.join(30)
        assert api.client.get("/health/ready").status_code == 200
    finally:
        released.set()
        readiness_checks.unregister("mail")


def test_checks_that_hang_take_no_longer_than_one(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hanging() -> HealthProblem | None:
        released.wait(30)
        return None

    monkeypatch.setattr("authapp.domain.readiness_checks.CHECK_SECONDS", 0.5)
    names = {f"hanging_{letter}" for letter in "abcdef"}
    for name in names:
        readiness_checks.register(name, hanging)
    try:
        start = time.monotonic()
        with app.app_context():
            assert set(Services.of(app).health.problems()) == names
        assert time.monotonic() - start < 1.5
    finally:
        released.set()
        for name in names:
            readiness_checks.unregister(name)


def test_a_check_waits_for_the_database_no_longer_than_it_may_take(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[float] = []

    def check() -> HealthProblem | None:
        left.append(deadline.left(60.0))
        return None

    readiness_checks.register("mail", check)
    try:
        assert api.client.get("/health/ready").status_code == 200
    finally:
        readiness_checks.unregister("mail")
    assert 0 < left[0] <= CHECK_SECONDS


@pytest.mark.parametrize("component", ["database", "encryption_keys", "migrations", "privileges"])
def test_the_names_of_our_own_components_are_reserved(component: str) -> None:
    with pytest.raises(ValueError, match="it is one of database, encryption_keys, migrations, privileges"):
        readiness_checks.register(component, lambda: None)


@pytest.mark.committed  # checks run at once, each with a connection of its own
def test_a_check_whose_statement_fails_spoils_no_other(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> HealthProblem | None:
        db.session.execute(text("SELECT 1 / 0 -- a secret"))
        return None

    def sound() -> HealthProblem | None:
        return None if db.session.scalar(text("SELECT 1")) else HealthProblem("There is no 1.")

    readiness_checks.register("broken", broken)
    readiness_checks.register("sound", sound)
    try:
        answer = problem(api.client.get("/health/ready"), 503, "service_unavailable")
    finally:
        readiness_checks.unregister("broken")
        readiness_checks.unregister("sound")
    assert answer["errors"] == [{"pointer": "#/broken", "detail": "It cannot be checked."}]
    assert "It cannot be checked. Reason: a bug: DataError (SQLSTATE 22012)." in caplog.text
    assert "a secret" not in caplog.text


def test_a_registered_check_does_not_replace_one_of_ours(app: Flask) -> None:
    readiness_checks.register("taken", lambda: None)
    try:
        with pytest.raises(ValueError, match="itself: taken"):
            Health([], app.app_context, {"taken": lambda: None})
    finally:
        readiness_checks.unregister("taken")
