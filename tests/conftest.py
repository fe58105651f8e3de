"""One PostgreSQL for the whole run; each test in a transaction that is rolled back, or in a database of its own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from authapp import AuthApp, create_app
from authapp.database.fast_path import PreparedStatement
from authapp.database.migrations import PACKAGE
from authapp.database.session import db
from authapp.domain.services import Services
from authapp.models import User
from clocks import Time
from databases import Databases, server
from factories import Api, a_session, a_user
from factors import AuthenticatorApp, an_app
from providers import FakeProvider, fake_provider
from settings import settings

pytest_plugins = ["account_mailbox", "mail_deliveries", "smtp_transports"]


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    folder: Path = tmp_path_factory.mktemp("postgres")
    with server(folder) as url:
        made = Databases(url)
        yield made
        made.close()


@pytest.fixture(scope="session")
def shared_app(databases: Databases) -> Iterator[Flask]:
    yield from created(databases)


@pytest.fixture(scope="session")
def verified_app(databases: Databases) -> Iterator[Flask]:
    """An application where an address must be verified before a login."""
    yield from created(databases, email_verification="required")


@pytest.fixture
def app(request: pytest.FixtureRequest) -> Iterator[Flask]:
    """The application; what a test writes is rolled back, unless it is marked ``committed``."""
    if request.node.get_closest_marker("committed"):
        yield request.getfixturevalue("committed_app")
        return
    name = "verified_app" if request.node.get_closest_marker("verified") else "shared_app"
    shared: Flask = request.getfixturevalue(name)
    with rolled_back(shared):
        yield shared


@pytest.fixture
def committed_app(request: pytest.FixtureRequest, databases: Databases) -> Iterator[Flask]:
    """An application on a database of its own, where commits are real."""
    is_verified = request.node.get_closest_marker("verified")
    yield from created(databases, **({"email_verification": "required"} if is_verified else {}))


def created(databases: Databases, **changes: Any) -> Iterator[Flask]:
    """Lend an application with these settings, on a database of its own."""
    with databases.migrated() as url:
        app = create_app(settings(database_url=url, **changes))
        yield app
        dispose(app)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    return Time(monkeypatch)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def api(client: FlaskClient) -> Api:
    return Api(client)


@pytest.fixture
def user(app: Flask) -> User:
    return a_user(app, "ada")


@pytest.fixture
def token(app: Flask, user: User) -> str:
    return a_session(app, user).access_token


@pytest.fixture
def phone(app: Flask, user: User) -> AuthenticatorApp:
    """An authenticator app that is added to the account of ``user``."""
    return an_app(app, user)


@pytest.fixture
def root(app: Flask) -> str:
    """An access token of an administrator."""
    return a_session(app, a_user(app, "root", roles=["admin"])).access_token


@contextmanager
def rolled_back(app: Flask) -> Iterator[None]:
    with app.app_context():
        engines = db.engines
        db.session.configure(join_transaction_mode="create_savepoint")
    engines_before = dict(engines)
    connection = engines_before[None].connect()
    transaction = connection.begin()
    engines[None] = connection
    fast_path = Services.of(app).fast_path

    def run(statement: PreparedStatement, parameters: Mapping[str, Any]) -> Any:
        return statement.first(connection.connection.driver_connection, parameters)

    # In the instance: every service that holds the fast path asks inside the test's transaction.
    vars(fast_path).update(read=run, write=run)
    try:
        yield
    finally:
        engines.update(engines_before)
        del fast_path.read, fast_path.write
        transaction.rollback()
        connection.close()


def dispose(app: Flask) -> None:
    """Close every pooled connection of ``app``, so that its database can be dropped."""
    with app.app_context():
        AuthApp.of(app).close_connections()


def reconfigured(app: Flask, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Give ``app`` the services of other settings, for the rest of a test, on the same connections."""
    extension = AuthApp.of(app)
    services = Services.build(settings(database_url="", **changes), extension.services.fast_path, app, [PACKAGE])
    monkeypatch.setattr(extension, "services", services)


@pytest.fixture
def provider(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeProvider]:
    """An OpenID provider, which the application calls ``example``."""
    with fake_provider() as made:
        reconfigured(app, monkeypatch, providers={"example": made.settings()})
        yield made
