"""The log of requests goes where gunicorn's own options say."""

import http.client
import json
import signal
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from databases import Databases
from e2e.processes import Server, environment, serving


def logged(file: Path, path: str) -> list[dict[str, object]]:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        lines = file.read_text().splitlines() if file.exists() else []
        if found := [line for line in map(json.loads, lines) if line["path"] == path]:
            return found
        time.sleep(0.1)
    return []


def asked(server: Server, path: str) -> str:
    server.call("GET", path)
    return path


def test_requests_are_logged_to_the_file_that_is_named_also_after_its_rotation(
    databases: Databases, tmp_path: Path
) -> None:
    file = tmp_path / "access.log"
    with databases.migrated() as url:
        variables = environment(url, GUNICORN_CMD_ARGS=f"--access-logfile {file}", WEB_CONCURRENCY="1")
        with serving(tmp_path, variables) as server:
            assert logged(file, asked(server, "/before"))
            assert "gunicorn.access" not in server.log

            file.rename(tmp_path / "access.log.1")
            server.process.send_signal(signal.SIGUSR1)
            time.sleep(1)
            assert logged(file, asked(server, "/after"))
            assert not logged(tmp_path / "access.log.1", "/after")


def lines(server: Server) -> list[dict[str, Any]]:
    return [fields for each in server.log.splitlines() if (fields := json.loads(each))["name"] == "gunicorn.access"]


def test_a_log_that_cannot_be_written_harms_no_request(databases: Databases, tmp_path: Path) -> None:
    with databases.migrated() as url:
        variables = environment(url, GUNICORN_CMD_ARGS="--access-logfile /dev/full", WEB_CONCURRENCY="1")
        with (
            serving(tmp_path, variables) as server,
            closing(http.client.HTTPConnection("127.0.0.1", server.port)) as client,
        ):
            client.auto_open = 0  # a connection that is cut is an error
            client.connect()
            for _ in range(3):
                client.request("GET", "/health/live")
                assert client.getresponse().read() == b'{"status":"live"}\n'
            assert server.log.count("cannot be written") == 1
            assert "cannot be written (No space left on device). Lines lost since this process started: 1" in server.log


@pytest.mark.parametrize(
    ("variables", "logged"),
    [({"AUTHAPP_LOG_LEVEL": "WARNING"}, set()), ({"AUTHAPP_LOG_HEALTH_PROBES": "off"}, {"/api/v1/ping"})],
)
def test_the_settings_say_which_requests_are_logged(
    databases: Databases, tmp_path: Path, variables: dict[str, str], logged: set[str]
) -> None:
    with databases.migrated() as url, serving(tmp_path, environment(url, **variables)) as server:
        for path in ("/health/live", "/health/ready", "/api/v1/ping"):
            server.call("GET", path)
        time.sleep(0.3)
        assert {line["path"] for line in lines(server)} == logged


def test_a_line_says_which_route_which_refusal_and_whose_request_it_was(server: Server) -> None:
    def call(method: str, path: str, token: str | None = None, **options: Any) -> Any:
        response = server.call(method, path, token, **options)
        deadline = time.monotonic() + 5
        while not (found := [each for each in lines(server) if each["request_id"] == response.headers["X-Request-ID"]]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        logged.append(tuple(found[0][name] for name in ("route", "status", "code", "user_id")))
        return response.json() if response.content else None

    logged: list[tuple[Any, ...]] = []
    password = "correct horse battery staple"
    account = {"username": "ada", "email": "ada@example.com", "password": password}
    user_id = call("POST", "/api/v1/auth/register", json=account)["id"]
    call("POST", "/api/v1/auth/login", json={"username": "ada", "password": "wrong"})
    first = call("POST", "/api/v1/auth/login", json={"username": "ada", "password": password})
    call("GET", f"/api/v1/users/{user_id}", first["access_token"])
    second = call("POST", "/api/v1/auth/refresh", first["refresh_token"])
    call("POST", "/api/v1/auth/refresh", second["refresh_token"])
    call("POST", "/api/v1/auth/refresh", first["refresh_token"])
    call("GET", "/api/v1/ping", first["access_token"])
    call("GET", "/api/v1/nothing")
    assert logged == [
        ("/api/v1/auth/register", 201, "-", "-"),
        ("/api/v1/auth/login", 401, "invalid_credentials", "-"),
        ("/api/v1/auth/login", 200, "-", "-"),
        ("/api/v1/users/<uuid:user_id>", 403, "permission_denied", user_id),
        ("/api/v1/auth/refresh", 200, "-", user_id),
        ("/api/v1/auth/refresh", 200, "-", user_id),
        ("/api/v1/auth/refresh", 401, "refresh_token_reused", user_id),
        ("/api/v1/ping", 401, "token_revoked", "-"),
        ("-", 404, "not_found", "-"),
    ]
