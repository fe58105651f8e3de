"""One application for all tests, on a database that is made for them and dropped."""

import os

import pytest
from authapp import AuthApp, testing

from notes import make_app


@pytest.fixture(scope="session")
def app(tmp_path_factory):
    with testing.temporary_database(os.environ["TEST_DATABASE_URL"]) as url:
        app = make_app(testing.settings(url, mail_folder=tmp_path_factory.mktemp("mails")))
        testing.upgrade_database(app)
        yield app
        with app.app_context():
            AuthApp.of(app).close_connections()
