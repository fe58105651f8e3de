"""Two applications in one process: what each has for itself, and what they share."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask

from authapp import AuthApp, create_app, testing
from authapp.config import RateLimit
from conftest import dispose
from databases import Databases
from settings import settings


@pytest.fixture(scope="module")
def url(databases: Databases) -> Iterator[str]:
    with databases.migrated() as lent:
        yield lent


def test_two_applications_with_authapp_keep_to_their_own_databases(databases: Databases) -> None:
    with databases.migrated() as one, databases.migrated() as another:
        first, second = create_app(settings(database_url=one)), Flask("second")
        AuthApp(second, settings(database_url=another))
        user = testing.create_user(first, "ada")

        assert testing.client(first, user).get("/api/v1/users/me").status_code == 200
        token = testing.log_in(first, user).access_token
        answer = second.test_client().get("/api/v1/users/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.json["code"] == "token_invalid"
        dispose(first)
        dispose(second)


@contextmanager
def limited(url: str, amount: int) -> Iterator[Flask]:
    app = create_app(
        settings(database_url=url, rate_limit_storage="memory://", rate_limit_default=RateLimit(amount, 3600))
    )
    yield app
    dispose(app)


def statuses(app: Flask, count: int) -> list[int]:
    return [app.test_client().get("/api/v1/ping").status_code for _ in range(count)]


def test_each_has_its_own_general_limit_in_the_storage_that_they_share(url: str) -> None:
    with limited(url, 2) as first, limited(url, 3) as second:
        assert statuses(first, 3) == [401, 401, 429]
        assert statuses(second, 4) == [401, 401, 401, 429]
    with limited(url, 2) as first, limited(url, 2) as second:
        assert statuses(first, 1) == [401]
        assert statuses(second, 2) == [401, 429], "limits that are alike are one, as those of two nodes"
