"""API keys that end while calls with them run, on the real server with several workers."""

import threading
from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from authapp import create_app
from authapp.context import OPERATOR
from authapp.domain.services import Services
from authapp.models import User
from authapp.security import api_keys
from conftest import dispose
from e2e.processes import Server
from factories import a_service, an_api_key, client
from settings import settings

CLIENTS = 4


@pytest.fixture
def neighbour(server: Server) -> Iterator[Flask]:
    """An application on the database of the server, which ends what the server has accepted."""
    app = create_app(settings(database_url=server.database_url))
    yield app
    dispose(app)


def delete_key(services: Services, service: User, key: str) -> None:
    services.api_keys.delete(service.id, api_keys.parse(key).key_id, OPERATOR)


def disable_owner(services: Services, service: User, _key: str) -> None:
    services.administration.disable(service.id, OPERATOR)


def delete_owner(services: Services, service: User, _key: str) -> None:
    services.administration.delete(service.id, OPERATOR)


@pytest.mark.parametrize("end", [delete_key, disable_owner, delete_owner])
@pytest.mark.parametrize("credential", ["key", "token"])
def test_no_call_that_begins_after_the_end_is_answered(
    server: Server, neighbour: Flask, credential: str, end: Callable[[Services, User, str], None]
) -> None:
    service = a_service(neighbour)
    key = an_api_key(neighbour, service)
    sent = key
    if credential == "token":
        form = {"grant_type": "client_credentials"}
        answer = server.call("POST", "/api/v1/oauth/token", headers=client(key), data=form)
        sent = answer.json()["access_token"]
    assert server.call("GET", "/api/v1/ping", sent).status_code == 200
    ended, late = threading.Event(), []

    def call() -> None:
        for _ in range(100):
            has_ended = ended.is_set()
            status = server.call("GET", "/api/v1/ping", sent).status_code
            if has_ended:
                late.append(status)
            if len(late) > CLIENTS * 5:
                return

    threads = [threading.Thread(target=call) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    with neighbour.app_context():
        end(Services.of(neighbour), service, key)
    ended.set()
    for thread in threads:
        thread.join()
    assert late
    assert set(late) == {401}
