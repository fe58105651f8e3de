"""No response, no log line and no column holds a password or a token."""

import json
from pathlib import Path

import pytest
from sqlalchemy import MetaData, create_engine, select

from authapp.security.api_keys import PREFIX_LENGTH
from databases import Databases
from e2e.processes import KEYS, environment, serving
from factories import client

SECRET = "tr0ubadour&3-never-to-be-seen"


@pytest.fixture(scope="module")
def traces(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Use the service in every way, with secrets in every place, and return what is left of it."""
    folder: Path = tmp_path_factory.mktemp("secrets")
    answers: list[str] = []
    tokens: list[str] = []
    with databases.migrated() as url:
        with serving(folder, environment(url, AUTHAPP_LOG_LEVEL="DEBUG")) as server:

            def call(method: str, path: str, token: str | None = None, **options: object) -> dict[str, str]:
                response = server.call(method, f"/api/v1{path}", token, **options)
                body = response.json() if response.content else {}
                # The pair is handed to whoever logs in: everything else must not repeat it.
                tokens.extend(body.pop(name) for name in ("access_token", "refresh_token", "key") if name in body)
                answers.append(f"{json.dumps(body)} {response.headers}")
                return body

            account = {"username": "ada", "email": "ada@example.com", "password": SECRET}
            call("POST", "/auth/register", json=account)
            call("POST", "/auth/register", json=account)
            call("POST", "/auth/register", json=account | {"username": SECRET})
            call("POST", "/auth/register", json=account | {SECRET[:30]: 1, "username": 7})
            call("POST", "/auth/login", json={"username": "ada", "password": SECRET + "!"})
            call("POST", "/auth/login", json={"username": "ada", "password": SECRET})
            access, refresh = tokens[:2]
            call("POST", "/auth/login", data=json.dumps({"username": "ada", "password": SECRET})[:-1])
            call("GET", f"/ping?access_token={access}", headers={"Referer": f"https://x/?t={access}"})
            call("GET", "/ping", access, headers={"X-Request-ID": access})
            call("GET", "/ping", access[:-6])
            call("GET", "/users/me", access, headers={"Cookie": f"access_token={access}"})
            key = call("POST", "/users/me/api-keys", access, json={"name": "nightly"})["id"]
            api_key = tokens[-1]
            for credential in (api_key, f"{api_key}x", api_key[:-1]):
                call("GET", f"/ping?key={credential}", credential, headers={"X-Request-ID": credential})
            call("POST", "/users/me/api-keys", api_key, json={"name": "another"})
            call("POST", "/oauth/token", headers=client(api_key), data={"grant_type": "client_credentials"})
            call("POST", "/oauth/token", headers=client(api_key), data={"grant_type": "password", "scope": api_key})
            call("POST", "/auth/introspect", access, data={"token": api_key})
            call("DELETE", f"/users/me/api-keys/{key}", access)
            call("GET", "/ping", api_key)
            call("POST", "/auth/refresh", json={"refresh_token": refresh})
            call("POST", "/auth/refresh", refresh, json={"refresh_token": refresh})
            call("POST", "/auth/logout", tokens[-2])
            call("POST", "/auth/refresh", tokens[-1])
        rows = dump(url)
    secrets = [
        SECRET,
        *tokens,
        *(token.rpartition(".")[2] for token in tokens),
        api_key[PREFIX_LENGTH:],
        json.loads(KEYS)["keys"][0]["d"],
    ]
    return {"answers": "\n".join(answers), "log": server.log, "rows": rows, "secrets": json.dumps(secrets)}


def dump(url: str) -> str:
    """Return every row of every table."""
    engine = create_engine(url)
    tables = MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        rows = [str(row) for table in tables.tables.values() for row in connection.execute(select(table))]
    engine.dispose()
    return "\n".join(rows)


@pytest.mark.parametrize("where", ["answers", "log", "rows"])
def test_no_secret_is_left_behind(traces: dict[str, str], where: str) -> None:
    assert len(traces[where].splitlines()) >= 4
    for secret in json.loads(traces["secrets"]):
        if where == "answers" and secret == SECRET:
            # An unknown field is named back to its sender, cut short; its value is not.
            continue
        assert secret not in traces[where]


def test_each_log_line_is_one_json_object_with_a_time_in_utc(traces: dict[str, str]) -> None:
    for line in traces["log"].splitlines():
        event = json.loads(line)
        assert event["timestamp"].endswith("+00:00")
        assert event["level"]


def test_each_request_is_logged_with_its_id(traces: dict[str, str]) -> None:
    events = [json.loads(line) for line in traces["log"].splitlines()]
    requests = [event for event in events if event["name"] == "gunicorn.access"]
    assert {"method", "path", "status", "duration_us", "remote_address", "request_id"} <= set(requests[0])
    assert all(event["request_id"] in traces["answers"] for event in requests if event["path"].startswith("/api"))
