"""Turning the key ring of a server under load: nobody notices, until the old key is taken away on purpose."""

import base64
import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from authapp.security.key_rotation import role_of
from authapp.security.keys import KeyRing
from e2e.processes import Server, flask, serving
from factories import PASSWORD

API = "/api/v1"
USERNAME = "ada"
PAUSE = 0.02  # seconds between a client's requests: the new workers need some of the processor to start at all


class Load:
    """Clients that are always at work, each in a thread of its own; ``failures`` must stay empty."""

    def __init__(self, server: Server, existing: dict[str, Any]) -> None:
        self._url = server.url + API
        self._existing = existing
        self._done = threading.Event()
        self.failures: list[str] = []
        self.served: Counter[str] = Counter()

    @contextmanager
    def running(self) -> Iterator["Load"]:
        clients = [self._ping, self._ping_kept_alive, self._ping_kept_alive, self._live, self._live]
        threads = [threading.Thread(target=self._repeat, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._done.set()
            for thread in threads:
                thread.join()

    def wait_for_more(self, each: int = 3) -> None:
        """Return once every kind of client has been served ``each`` more times."""
        names = ["ping", "ping, kept alive", "login", "refresh", "logout"]
        goal = {name: self.served[name] + each for name in names}
        deadline = time.monotonic() + 30
        while any(self.served[name] < count for name, count in goal.items()) and not self.failures:
            assert time.monotonic() < deadline, self.served
            time.sleep(0.05)

    def _repeat(self, client: Callable[[requests.Session], None]) -> None:
        with requests.Session() as session:
            while not self._done.wait(PAUSE):
                client(session)

    def _ping(self, _: requests.Session) -> None:
        with requests.Session() as fresh:
            self._send(fresh, "ping", "GET", "/ping", self._existing["access_token"])

    def _ping_kept_alive(self, session: requests.Session) -> None:
        self._send(session, "ping, kept alive", "GET", "/ping", self._existing["access_token"])

    def _live(self, _: requests.Session) -> None:
        """Log in, refresh, and log out, over a connection of its own for each."""
        with ExitStack() as stack:
            one, two, three, four = (stack.enter_context(requests.Session()) for _ in range(4))
            first = self._send(one, "login", "POST", "/auth/login", json={"username": USERNAME, "password": PASSWORD})
            second = first and self._send(two, "refresh", "POST", "/auth/refresh", first["refresh_token"])
            if second:
                self._send(three, "ping", "GET", "/ping", second["access_token"])
                self._send(four, "logout", "POST", "/auth/logout", second["access_token"])

    def _send(
        self, session: requests.Session, name: str, method: str, path: str, token: str | None = None, **options: Any
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            answer = session.request(method, self._url + path, headers=headers, timeout=30, **options)
        except requests.RequestException as error:
            self.failures.append(f"{name}: {error!r}")
            return {}
        if not answer.ok:
            self.failures.append(f"{name}: {answer.status_code} {answer.text}")
            return {}
        self.served[name] += 1
        body: dict[str, Any] = answer.json() if answer.content else {}
        return body


@pytest.fixture
def key_file(tmp_path: Path, variables: dict[str, str]) -> Path:
    path = tmp_path / "keys.json"
    generated = flask(variables, "keys", "generate", "--out", str(path))
    assert generated.returncode == 0, generated.stderr
    return path


@pytest.fixture
def with_file(variables: dict[str, str], key_file: Path) -> dict[str, str]:
    others = {name: value for name, value in variables.items() if name != "AUTHAPP_JWT_KEYS"}
    return others | {"AUTHAPP_JWT_KEYS_FILE": str(key_file)}


@pytest.fixture
def rotating(with_file: dict[str, str], tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path, with_file) as running:
        account = {"username": USERNAME, "email": "ada@example.com", "password": PASSWORD}
        assert running.call("POST", f"{API}/auth/register", json=account).status_code == 201
        yield running


def log_in(server: Server) -> dict[str, Any]:
    answer = server.call("POST", f"{API}/auth/login", json={"username": USERNAME, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    pair: dict[str, Any] = answer.json()
    return pair


def keys(variables: dict[str, str], *arguments: str) -> dict[str, str]:
    """Run a ``flask keys`` command, and return the kid of the key in each role afterwards."""
    ran = flask(variables, "keys", *arguments)
    assert ran.returncode == 0, ran.stderr
    ring = KeyRing.from_json(Path(variables["AUTHAPP_JWT_KEYS_FILE"]).read_text())
    return {str(role_of(key, ring, int(time.time()))): key.kid for key in ring}


def reload(server: Server) -> None:
    """Send HUP, and return once no worker from before is left, and as many new ones are there."""
    master = psutil.Process(server.process.pid)
    before = set(master.children())
    master.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 60
    while (now := set(master.children())) & before or len(now) != len(before):
        assert time.monotonic() < deadline, server.log
        time.sleep(0.1)
    server.wait_until()


def published(server: Server) -> set[str]:
    return {key["kid"] for key in server.call("GET", "/.well-known/jwks.json").json()["keys"]}


def kid_of(token: str) -> str:
    header = token.partition(".")[0]
    kid: str = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"]
    return kid


def ping(server: Server, token: str) -> tuple[int, str]:
    answer = server.call("GET", f"{API}/ping", token)
    return answer.status_code, answer.json().get("code", "")


def everywhere(server: Server, token: str, outcome: tuple[int, str]) -> None:
    """Assert the outcome over many connections, and so on either worker."""
    assert {ping(server, token) for _ in range(20)} == {outcome}


def test_keys_are_rotated_under_load_without_a_failed_request(rotating: Server, with_file: dict[str, str]) -> None:
    old = log_in(rotating)
    first = kid_of(old["access_token"])
    assert published(rotating) == {first}

    with Load(rotating, old).running() as load:
        load.wait_for_more()
        announced = keys(with_file, "rotate")
        reload(rotating)
        assert published(rotating) == {first, announced["standby"]}
        load.wait_for_more()
        turned = keys(with_file, "rotate")
        reload(rotating)
        load.wait_for_more()

    assert load.failures == []
    assert (announced["signs"], turned["signs"], turned["verifies"]) == (first, announced["standby"], first)
    assert published(rotating) == {first, turned["signs"], turned["standby"]}
    everywhere(rotating, old["access_token"], (200, ""))
    renewed = rotating.call("POST", f"{API}/auth/refresh", old["refresh_token"]).json()
    new = log_in(rotating)
    tokens = [pair[kind] for pair in (renewed, new) for kind in ("access_token", "refresh_token")]
    assert {kid_of(token) for token in tokens} == {turned["signs"]}
    for token in (renewed["access_token"], new["access_token"]):
        everywhere(rotating, token, (200, ""))

    keys(with_file, "retire", "--force", first)
    reload(rotating)

    assert published(rotating) == {turned["signs"], turned["standby"]}
    everywhere(rotating, old["access_token"], (401, "token_invalid"))
    everywhere(rotating, new["access_token"], (200, ""))
    refused = rotating.call("POST", f"{API}/auth/refresh", old["refresh_token"])
    assert (refused.status_code, refused.json()["code"]) == (401, "token_invalid")
