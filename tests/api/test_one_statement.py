"""Each protected request asks PostgreSQL once: one statement, one round trip, no BEGIN and no ROLLBACK."""

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import create_engine, text

from authapp import create_app
from authapp.domain.api_keys.verification import API_KEY_STATUS
from authapp.domain.principals.principals import API_KEY_TOKEN_STATUS, TOKEN_STATUS
from conftest import dispose
from databases import Databases
from factories import Api, a_service, a_session, a_user, an_api_key, key_token
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


def test_an_api_key_and_its_token_cost_one_statement(app: Flask, wire: Wire) -> None:
    api, key = Api(app.test_client()), an_api_key(app, a_service(app))
    token = key_token(api, key)
    for credential, statement in ((key, API_KEY_STATUS), (token, API_KEY_TOKEN_STATUS)):
        assert api.get("/ping", credential).status_code == 200
        for path in ("/ping", "/users/me", "/auth/verify"):
            wire.questions.clear()
            assert api.get(path, credential).status_code in {200, 204}
            assert len(wire.questions) == 1, wire.questions
            assert wire.questions[0].startswith(f"EXECUTE {statement.name}(")


def test_a_key_that_was_not_copied_whole_costs_none(app: Flask, wire: Wire) -> None:
    api, key = Api(app.test_client()), an_api_key(app, a_service(app))
    wire.questions.clear()
    for broken in (key[:-1], f"{key}0", f"{key[:-1]}{'0' if key[-1] != '0' else '1'}", "ak_", f"ak_{'0' * 93}"):
        assert api.get("/ping", broken).status_code == 401
    assert wire.questions == []


@pytest.mark.parametrize("credential", ["token", "key", "token of a key"])
def test_the_statement_goes_by_primary_keys_alone(app: Flask, url: str, wire: Wire, credential: str) -> None:
    api, key = Api(app.test_client()), an_api_key(app, a_service(app))
    made = {"token": lambda: a_session(app, a_user(app)).access_token, "key": lambda: key}
    token = made.get(credential, lambda: key_token(api, key))()
    statement = {"token": TOKEN_STATUS, "key": API_KEY_STATUS}.get(credential, API_KEY_TOKEN_STATUS)
    dispose(app)
    wire.questions.clear()
    api.get("/ping", token)
    asked = next(question for question in wire.questions if question.startswith(f"PREPARE {statement.name}("))
    prepare, _, execute = asked.partition("; EXECUTE")
    engine = create_engine(url)
    with engine.connect() as connection:
        # The plan for whatever parameters, which is the one that PostgreSQL keeps.
        connection.execute(text("SET plan_cache_mode = force_generic_plan"))
        connection.execute(text("SET enable_seqscan = off"))
        connection.exec_driver_sql(prepare)
        plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN EXECUTE{execute}").scalars())
    engine.dispose()
    indexes = {"token": ["pk_sessions", "pk_token_blocklist"], "key": ["pk_api_keys"]}
    for index in ("pk_users", *indexes.get(credential, ["pk_api_keys", "pk_token_blocklist"])):
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
