"""An application of somebody's with authapp in it."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from authapp import AuthApp
from conftest import dispose
from databases import Databases
from extension.others import locked_blueprint, plain_app
from settings import settings


@pytest.fixture
def url(databases: Databases) -> Iterator[str]:
    with databases.migrated() as url:
        yield url


@pytest.fixture
def theirs(url: str) -> Iterator[Flask]:
    """Their application with authapp in it, and one locked blueprint."""
    app = plain_app()
    AuthApp(app, settings(database_url=url)).register_blueprint(locked_blueprint())
    yield app
    dispose(app)


@pytest.fixture
def their_client(theirs: Flask) -> FlaskClient:
    return theirs.test_client()
