"""Each protected request asks PostgreSQL once: one statement, one round trip, no BEGIN and no ROLLBACK."""

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import create_engine, text

from authapp import create_app
from authapp.domain.principals.principals import TOKEN_STATUS
from conftest import dispose
from databases import Databases
from factories import Api, a_session, a_user
from settings import settings
from wire import Wire, listening


@pytest.fixture(scope="module")
def url(databases: Databases) -> Iterator[str]:
    with databases.migrated() as url:
        yield url


@pytest.fixture
def wire(url: str) -> Iterator[Wire]:
    with listening(url) as wire:
        yield wire


@pytest.fixture
def app(wire: Wire) -> Iterator[Flask]:
    app = create_app(settings(database_url=wire.url))
    yield app
    dispose(app)


def test_a_protected_request_costs_one_statement(app: Flask, wire: Wire) -> None:
    api, token = Api(app.test_client()), a_session(app, a_user(app)).access_token
    assert api.get("/ping", token).status_code == 200  # opens the connection
    for path in ("/ping", "/users/me"):
        wire.questions.clear()
        assert api.get(path, token).status_code == 200
        assert len(wire.questions) == 1, wire.questions
        assert wire.questions[0].startswith(f"EXECUTE {TOKEN_STATUS.name}(")
    for table in ("users", "sessions", "token_blocklist", "user_roles", "roles"):
        assert table in TOKEN_STATUS.text


def test_a_refused_request_costs_no_more(app: Flask, wire: Wire) -> None:
    api, token = Api(app.test_client()), a_session(app, a_user(app)).access_token
    api.post("/auth/logout", token=token)
    wire.questions.clear()
    assert api.get("/ping", token).status_code == 401
    assert len(wire.questions) == 1
    wire.questions.clear()
    for refused in ("x", token[:-4] + "AAAA", None):
        assert api.get("/ping", refused).status_code == 401
    assert wire.questions == [], "a token that is not ours is refused without asking anybody"


def test_the_statement_goes_by_primary_keys_alone(app: Flask, url: str, wire: Wire) -> None:
    api, token = Api(app.test_client()), a_session(app, a_user(app)).access_token
    wire.questions.clear()
    api.get("/ping", token)
    asked = next(question for question in wire.questions if question.startswith(f"PREPARE {TOKEN_STATUS.name}("))
    prepare, _, execute = asked.partition("; EXECUTE")
    engine = create_engine(url)
    with engine.connect() as connection:
        # The plan for whatever parameters, which is the one that PostgreSQL keeps.
        connection.execute(text("SET plan_cache_mode = force_generic_plan"))
        connection.execute(text("SET enable_seqscan = off"))
        connection.exec_driver_sql(prepare)
        plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN EXECUTE{execute}").scalars())
    engine.dispose()
    for index in ("pk_users", "pk_sessions", "pk_token_blocklist"):
        assert index in plan, plan
    assert "Seq Scan" not in plan


def test_a_connection_that_died_while_idle_costs_the_client_nothing(app: Flask, url: str) -> None:
    api, token = Api(app.test_client()), a_session(app, a_user(app)).access_token
    assert api.get("/ping", token).status_code == 200
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'authapp' AND datname = current_database()"
            )
        )
    engine.dispose()
    assert api.get("/ping", token).status_code == 200
    assert api.post("/auth/logout", token=token).status_code == 204
    assert api.get("/ping", token).status_code == 401
