"""The time of a request for a mail, or of a registration, does not tell who has an account (ASVS 5.0, 6.3.8)."""

import itertools
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from flask import Flask

from authapp import create_app
from authapp.context import OPERATOR
from authapp.domain.services import Services
from conftest import dispose
from databases import Databases
from e2e.processes import Server, environment, serving, with_mail
from e2e.timing import told_apart
from factories import PASSWORD, a_user
from mail_servers import raw_host
from settings import settings

# Times are compared with each other, and what runs beside them is noise.
pytestmark = pytest.mark.alone

ADDRESSES = {
    "verified": "verified@example.com",
    "unverified": "unverified@example.com",
    "disabled": "disabled@example.com",
    "unknown": "nobody@example.com",
}


ANSWERED = {"/auth/login-links": {"challenge", "expires_in"}}
"""What the answers hold; those of the other routes hold nothing."""


@pytest.fixture(scope="module")
def variables(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with databases.migrated() as url:
        folder = tmp_path_factory.mktemp("mail")
        yield with_mail(environment(url), folder, AUTHAPP_EMAIL_VERIFICATION="required")


@pytest.fixture(scope="module", autouse=True)
def accounts(variables: dict[str, str]) -> Iterator[Flask]:
    app = create_app(settings(database_url=variables["AUTHAPP_DATABASE_URL"]))
    for name in ("verified", "unverified", "disabled"):
        a_user(app, name)
    with app.app_context():
        services = Services.of(app)
        for name in ("verified", "disabled"):
            services.email.verifications.mark(name, OPERATOR)
        services.administration.disable("disabled", OPERATOR)
    yield app
    dispose(app)


@pytest.mark.parametrize("path", ["/auth/password-resets", "/auth/email-verifications", "/auth/login-links"])
def test_a_request_for_a_mail_takes_as_long_whoever_has_the_address(server: Server, path: str) -> None:
    with requests.Session() as session:

        def send(kind: str) -> None:
            response = session.post(f"{server.url}/api/v1{path}", json={"email": ADDRESSES[kind]}, timeout=30)
            assert (response.status_code, response.json().keys()) == (202, ANSWERED.get(path, set()))

        assert told_apart(send, "unknown", ["verified", "unverified", "disabled"]) == {}


def answer_at_once(connection: socket.socket) -> None:
    with connection.makefile("rb") as sent:
        connection.sendall(b"220 here\r\n")
        is_text = False
        for line in sent:
            if is_text and line != b".\r\n":
                continue
            is_text = line.upper().startswith(b"DATA")
            connection.sendall(b"354 go on\r\n" if is_text else b"250 OK\r\n")


def answer_slowly(connection: socket.socket) -> None:
    time.sleep(30)
    connection.close()


@pytest.mark.parametrize("serve", [answer_at_once, answer_slowly])
def test_a_request_takes_as_long_while_the_worker_sends(
    variables: dict[str, str], tmp_path: Path, serve: Callable[[socket.socket], None]
) -> None:
    with raw_host(serve) as port:
        sending = {"AUTHAPP_MAIL_SENDER": "workers", "AUTHAPP_MAIL_URL": f"smtp://127.0.0.1:{port}?starttls=off"}
        with serving(tmp_path, variables | sending) as server, requests.Session() as session:

            def send(kind: str) -> None:
                body = {"email": ADDRESSES[kind]}
                response = session.post(f"{server.url}/api/v1/auth/password-resets", json=body, timeout=30)
                assert (response.status_code, response.json()) == (202, {})

            assert told_apart(send, "unknown", ["verified", "disabled"]) == {}


def test_a_registration_takes_as_long_whether_or_not_the_address_is_taken(server: Server) -> None:
    # The hash hides much of the difference: test_verified_registrations.py compares the statements.
    numbers = itertools.count()
    with requests.Session() as session:

        def send(kind: str) -> None:
            name = f"user{next(numbers)}"
            email = f"{name}@example.com" if kind == "free" else ADDRESSES["verified"]
            body = {"username": name, "email": email, "password": PASSWORD}
            response = session.post(f"{server.url}/api/v1/auth/register", json=body, timeout=30)
            assert (response.status_code, response.json()) == (202, {})

        assert told_apart(send, "free", ["taken"]) == {}


def test_the_limit_of_mails_to_an_address_does_not_tell_either(variables: dict[str, str], tmp_path: Path) -> None:
    limited = variables | {"AUTHAPP_MAIL_RATE_LIMIT": "5/hour"}
    with serving(tmp_path, limited) as server, requests.Session() as session:

        def send(kind: str) -> None:
            body = {"email": ADDRESSES[kind]}
            response = session.post(f"{server.url}/api/v1/auth/password-resets", json=body, timeout=30)
            assert (response.status_code, response.json()) == (202, {})

        assert told_apart(send, "unknown", ["verified", "disabled"]) == {}
