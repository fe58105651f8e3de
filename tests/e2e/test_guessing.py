"""Guesses in parallel, on the real server with the real limits: the right one beyond the limit is not looked at."""

import json
import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from databases import Databases
from e2e.processes import Server, environment, flask, serving
from e2e.test_slow_bodies import answer, begun
from factories import PASSWORD

GUESSES, RIGHT = 180, 20
FREE = 10
FIRST_DELAY = 1.0


class Guess(NamedTuple):
    """What a guess met, and when it had its answer."""

    status: int
    sent_at: float


class Guesser:
    """Guesses wrong from many threads at once, and right from others as soon as a guess was refused unlooked at.

    Of each guess all but the last byte is at the server before, so that nothing but that byte takes its time.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._start = threading.Barrier(GUESSES)
        self._refused = threading.Event()
        self.started = math.inf

    def wrong(self, number: int) -> Guess:
        guess = self._guess(f"guess number {number}", lambda: self._start.wait(30))
        if guess.status == 429:
            self._refused.set()
        return guess

    def right(self, _: int) -> Guess:
        return self._guess(PASSWORD, lambda: self._refused.wait(30))

    def _guess(self, password: str, wait: Callable[[], object]) -> Guess:
        body = json.dumps({"username": "ada", "password": password}).encode()
        client = begun(self._server, body, 1)
        wait()
        self.started = min(self.started, time.monotonic())
        client.sendall(body[-1:])
        return Guess(int(answer(client).split()[1]), time.monotonic())


def looked_at_by(seconds: float) -> int:
    """Return how many wrong guesses may have been looked at so long after the first: free ones, then at 1, 3, 7 s."""
    return FREE + int(math.log2(seconds / FIRST_DELAY + 1))


def test_of_two_hundred_guesses_at_once_none_beyond_the_limit_counts(databases: Databases, tmp_path: Path) -> None:
    # The queue holds all of them: it is the limit that stops the guesses, and not a service that has no time.
    real = {"AUTHAPP_LOGIN_FAILURES_PER_ACCOUNT": str(FREE), "AUTHAPP_HASHING_QUEUE_SECONDS": "60"}
    with databases.migrated() as url, serving(tmp_path, environment(url, **real)) as server:
        account = ["ada", "ada@example.com", "--password-stdin"]
        assert flask(environment(url), "users", "create", *account, stdin=PASSWORD).returncode == 0
        body = {"username": "ada", "password": PASSWORD}
        token = server.call("POST", "/api/v1/auth/login", json=body).json()["access_token"]

        guesser = Guesser(server)
        with ThreadPoolExecutor(GUESSES + RIGHT) as pool:
            right = pool.map(guesser.right, range(RIGHT))
            wrong = list(pool.map(guesser.wrong, range(GUESSES)))
            right = list(right)
        statuses = Counter(guess.status for guess in [*wrong, *right])
        # The first delay may pass meanwhile, on a slow machine; until then, not even the right one is looked at.
        early = [guess.status for guess in [*wrong, *right] if guess.sent_at < guesser.started + FIRST_DELAY]
        seconds = max(guess.sent_at for guess in [*wrong, *right]) - guesser.started

        assert statuses.keys() <= {200, 401, 429, 503}, statuses
        assert statuses[401] > 0, statuses
        assert early.count(401) <= FREE, early
        assert 200 not in early
        # A login forgets the failures, and so whoever comes after it may try again.
        assert statuses[401] <= looked_at_by(seconds) * (1 + statuses[200]), statuses
        assert server.call("GET", "/api/v1/ping", token).status_code == 200
        assert "Traceback (most recent call last)" not in server.log
