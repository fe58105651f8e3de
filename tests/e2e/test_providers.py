"""Logins by a provider under gunicorn: one answer in two processes at once, and a provider that hangs."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import NamedTuple

import pytest
import requests
from sqlalchemy import create_engine, text

from databases import Databases
from e2e.processes import Server, environment, serving
from e2e.simultaneous import at_once
from providers import CLIENT_ID, CLIENT_SECRET, LOGINS, REDIRECT_URI, FakeProvider, fake_provider

AT_ONCE = 20
HANGING = 8
"""More than the questions that a worker asks one provider at once."""


class Setup(NamedTuple):
    """A server with two workers, and its provider."""

    server: Server
    provider: FakeProvider


@pytest.fixture(scope="module")
def setup(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    folder = tmp_path_factory.mktemp("providers")
    (folder / "secret").write_text(CLIENT_SECRET)
    with fake_provider() as provider, databases.migrated() as url:
        example = {"issuer": provider.issuer, "client_id": CLIENT_ID, "client_secret_file": str(folder / "secret")}
        (folder / "providers.json").write_text(json.dumps({"example": example}))
        variables = environment(
            url,
            AUTHAPP_PROVIDERS_FILE=str(folder / "providers.json"),
            AUTHAPP_REDIRECT_URIS=REDIRECT_URI,
            WEB_CONCURRENCY="2",
        )
        with serving(folder, variables) as server:
            yield Setup(server, provider)


def came_back(setup: Setup, **claims: str) -> dict[str, str]:
    begun = setup.server.call("POST", f"/api/v1{LOGINS}", json={"redirect_uri": REDIRECT_URI}).json()
    return {"flow": begun["flow"], **setup.provider.authorize(begun["authorization_url"], **claims)}


def rows(server: Server) -> tuple[int, int, int]:
    engine = create_engine(server.database_url)
    with engine.connect() as connection:
        tables = ("users", "provider_identities", "sessions")
        users, identities, sessions = (connection.scalar(text(f"SELECT count(*) FROM {table}")) for table in tables)
    engine.dispose()
    return users, identities, sessions


def test_one_answer_sent_twenty_times_at_once_makes_one_account_and_one_session(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup.provider.lies, "replays", True)
    before = rows(setup.server)
    answer = came_back(setup, sub="twenty", email="twenty@example.org")
    answers = at_once(setup.server, [("PUT", LOGINS, "", answer)] * AT_ONCE)
    assert Counter(each.outcome for each in answers) == {
        (201, None): 1,
        (401, "provider_login_failed"): AT_ONCE - 1,
    }
    assert tuple(after - row for after, row in zip(rows(setup.server), before, strict=True)) == (1, 1, 1)


def test_a_provider_that_hangs_is_unavailable_within_five_seconds_and_holds_up_nobody_else(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()

    def hang(_handler: BaseHTTPRequestHandler) -> None:
        released.wait(30)

    answers = [came_back(setup, sub=f"hang{number}") for number in range(HANGING)]
    monkeypatch.setitem(setup.provider.lies.answers, "/token", hang)
    found: list[tuple[requests.Response, float]] = []

    def send(answer: dict[str, str]) -> None:
        started = time.monotonic()
        response = setup.server.call("PUT", f"/api/v1{LOGINS}", json=answer)
        found.append((response, time.monotonic() - started))

    asked = setup.provider.paths.count("/token")
    threads = [threading.Thread(target=send, args=(answer,)) for answer in answers]
    for thread in threads:
        thread.start()
    while setup.provider.paths.count("/token") == asked:
        time.sleep(0.01)
    for _ in range(10):
        assert setup.server.call("GET", "/health/live").status_code == 200
    assert found == [], "a worker waited for the provider"
    for thread in threads:
        thread.join()
    released.set()
    assert {(response.status_code, response.json()["code"]) for response, _ in found} == {(503, "provider_unavailable")}
    # Five, and what a machine with other tests on it takes besides.
    assert max(seconds for _, seconds in found) < 8
