"""Clients of a server in trouble: a process of their own, so that the stopwatch is not theirs to hold up.

``python -m e2e.clients`` reads a line of JSON from standard input, says with an empty line that all have started, goes
on until its input ends, and prints what was answered, a JSON list of ``[sent_at, seconds, status, retry_after, name]``;
a time is of the monotonic clock, and a status of 0 is no answer.
"""

import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

TESTS = Path(__file__).resolve().parent.parent


class Answer(NamedTuple):
    """What one request met."""

    sent_at: float
    seconds: float
    status: int
    retry_after: str | None
    name: str


@dataclass
class Load:
    """What clients have met; ``answers`` is complete when the block of ``clients`` has ended."""

    plans: Sequence[dict[str, Any]]
    answers: list[Answer] = field(default_factory=list)

    def named(self, name: str) -> list[Answer]:
        """Return the answers to the requests of that name, whatever their tokens."""
        return [answer for answer in self.answers if answer.name.partition(":")[0] == name]

    def clients(self, name: str | None = None) -> int:
        """Return how many clients there were, in all or of that name."""
        return sum(plan["clients"] for plan in self.plans if name in {None, plan["name"]})


@contextmanager
def clients(port: int, plans: Sequence[dict[str, Any]]) -> Iterator[Load]:
    """Send requests while the block runs; how long that is, on a slow machine too, is for the block to say.

    A plan has a ``name``, a ``path``, how many ``clients``, and a ``token``, or ``tokens`` to be used once each, or
    ``refresh_tokens``, one a client, of which each is exchanged for the next; with ``pause`` seconds between two
    requests, and ``close`` for a connection for each.
    """
    command = [sys.executable, "-m", "e2e.clients"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=TESTS, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        load = Load(plans)
        try:
            process.stdin.write(json.dumps({"port": port, "plans": list(plans)}) + "\n")
            process.stdin.flush()
            assert process.stdout.readline() == "\n"
            yield load
            output, _ = process.communicate(timeout=60)
        except BaseException:
            process.kill()
            raise
    assert process.returncode == 0
    load.answers = [Answer(*each) for each in json.loads(output)]


class Client:
    """One of those whom a plan describes."""

    def __init__(self, port: int, plan: dict[str, Any], number: int, answers: list[Answer]) -> None:
        self._plan, self._answers = plan, answers
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self._tokens = iter(plan["tokens"][number :: plan["clients"]]) if "tokens" in plan else None
        self._refresh_token = plan["refresh_tokens"][number] if "refresh_tokens" in plan else None

    def go_on(self, stop: threading.Event) -> None:
        """Send requests until it is told to stop, or has no token left."""
        while not stop.is_set():
            token = self._plan.get("token") if self._tokens is None else next(self._tokens, None)
            if self._tokens is not None and token is None:
                return
            self._ask(self._refresh_token or token)
            stop.wait(self._plan.get("pause", 0.02))

    def _ask(self, token: str | None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if self._plan.get("close"):
            headers["Connection"] = "close"
        name, retry_after = self._plan["name"], None
        start = time.monotonic()
        try:
            self._connection.request(self._plan.get("method", "GET"), self._plan["path"], headers=headers)
            response = self._connection.getresponse()
            body, status, retry_after = response.read(), response.status, response.getheader("Retry-After")
        except (OSError, http.client.HTTPException):
            self._connection.close()
            body, status = b"", 0
        if self._tokens is not None:
            name = f"{name}:{token}"
        if self._refresh_token is not None and status == 200:
            pair = json.loads(body)
            self._refresh_token = pair["refresh_token"]
            name = f"{name}:{pair['access_token']}"
        self._answers.append(Answer(start, time.monotonic() - start, status, retry_after, name))


def main() -> None:
    """Carry the plans out."""
    given = json.loads(sys.stdin.readline())
    stop = threading.Event()
    answers: list[Answer] = []
    threads = [
        threading.Thread(target=Client(given["port"], plan, number, answers).go_on, args=(stop,))
        for plan in given["plans"]
        for number in range(plan["clients"])
    ]
    for thread in threads:
        thread.start()
    sys.stdout.write("\n")
    sys.stdout.flush()
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
