"""A million expired rows go while the service is used, by two nodes at once."""

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import requests
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Engine

from e2e.processes import ROOT, Server
from factories import PASSWORD

EXPIRED, UNEXPIRED = 1_000_000, 1_000
CLIENTS = 2
SECONDS = 45
"""The longest that pruning may take here; a test that hangs is worse than one that fails."""

SEED = """
    INSERT INTO token_blocklist (user_id, jti, token_type, expires_at, revoked_at)
    SELECT users.id, gen_random_uuid(), 'access', now() + number * interval '1 second', now() - interval '100 days'
    FROM users, generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS number
    WHERE users.username = 'grace'
"""
COUNTS = "SELECT count(*) FILTER (WHERE expires_at < now()) AS expired, count(*) AS all_rows FROM token_blocklist"


@contextmanager
def database(url: str) -> Iterator[Engine]:
    engine = create_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


def seed(engine: Engine) -> None:
    with engine.begin() as connection:
        # From the last days; the youngest has been expired for longer than any leeway.
        connection.execute(text(SEED), {"first": -EXPIRED - 600, "last": -601})
        connection.execute(text(SEED), {"first": 600, "last": 599 + UNEXPIRED})


def use_the_service(server: Server, number: int, stop: threading.Event) -> Counter[tuple[str, int]]:
    """Log in, knock and log out until told to stop; count what was answered."""
    answers: Counter[tuple[str, int]] = Counter()

    with requests.Session() as session:

        def call(method: str, path: str, token: str | None = None, json: object = None) -> requests.Response:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            url = f"{server.url}/api/v1{path}"
            response = session.request(method, url, headers=headers, json=json, timeout=20)
            answers[path, response.status_code] += 1
            return response

        while not stop.is_set():
            login = call("POST", "/auth/login", json={"username": f"client{number}", "password": PASSWORD})
            token = login.json().get("access_token", "none")
            call("GET", "/ping", token)
            call("POST", "/auth/logout", token)
            call("GET", "/users/me", token)
    return answers


def register(server: Server, username: str) -> None:
    account = {"username": username, "email": f"{username}@example.com", "password": PASSWORD}
    assert server.call("POST", "/api/v1/auth/register", json=account).status_code == 201


def prune_twice_at_once(variables: dict[str, str]) -> list[int]:
    """Run the command in two processes; return how many blocklist entries each removed."""
    command = [sys.executable, "-m", "flask", "tokens", "prune", "--json"]
    nodes = [
        subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    deadline = time.monotonic() + SECONDS
    try:
        outputs = [node.communicate(timeout=max(0.1, deadline - time.monotonic()))[0] for node in nodes]
    finally:
        for node in nodes:
            node.kill()
            node.wait(10)
    assert [node.returncode for node in nodes] == [0, 0], outputs
    return [json.loads(each)["blocklisted_tokens"] for each in outputs]


def test_a_million_expired_rows_are_pruned_by_two_nodes_while_requests_flow(
    server: Server, variables: dict[str, str]
) -> None:
    register(server, "grace")
    for number in range(CLIENTS):
        register(server, f"client{number}")
    stop = threading.Event()
    with database(variables["AUTHAPP_DATABASE_URL"]) as engine, ThreadPoolExecutor(CLIENTS) as pool:
        seed(engine)
        clients = [pool.submit(use_the_service, server, number, stop) for number in range(CLIENTS)]
        try:
            removed = prune_twice_at_once(variables)
        finally:
            stop.set()
        answers = sum((client.result(timeout=60) for client in clients), Counter[tuple[str, int]]())
        with engine.connect() as connection:
            left = connection.execute(text(COUNTS)).one()

    logins = answers["/auth/login", 200]
    assert logins >= 10
    # A logged-out token opens nothing, also while the table that says so is being emptied.
    assert answers == {
        ("/auth/login", 200): logins,
        ("/ping", 200): logins,
        ("/auth/logout", 204): logins,
        ("/users/me", 401): logins,
    }
    assert sum(removed) == EXPIRED
    assert min(removed) > 0
    assert left.expired == 0
    assert left.all_rows == UNEXPIRED + 2 * logins
