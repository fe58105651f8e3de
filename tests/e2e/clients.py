"""Clients of a server in trouble: a process of their own, so that the stopwatch is not theirs to hold up.

``python -m e2e.clients`` reads a JSON plan from standard input, and prints what was answered, a JSON list of
``[moment, seconds, status, retry_after, name]``; a moment is of the monotonic clock, and a status of 0 is no answer.
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

    moment: float
    seconds: float
    status: int
    retry_after: str | None
    name: str


@dataclass
class Load:
    """A running process of clients; ``answers`` is complete when the block of ``clients`` has ended."""

    process: "subprocess.Popen[str]"
    answers: list[Answer] = field(default_factory=list)

    def named(self, name: str) -> list[Answer]:
        """Return the answers to the requests of that name."""
        return [answer for answer in self.answers if answer.name == name]


@contextmanager
def clients(port: int, plans: Sequence[dict[str, Any]], seconds: float) -> Iterator[Load]:
    """Send requests for so many seconds while the block runs.

    A plan has a ``name``, a ``path``, how many ``clients``, and a ``token``, or ``tokens`` to be used once each; with
    ``pause`` seconds between two requests, and ``close`` for a connection for each.
    """
    command = [sys.executable, "-m", "e2e.clients"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=TESTS, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        json.dump({"port": port, "plans": list(plans), "seconds": seconds}, process.stdin)
        process.stdin.close()
        process.stdin = None
        load = Load(process)
        try:
            yield load
            told, _ = process.communicate(timeout=seconds + 60)
        except BaseException:
            process.kill()
            raise
    assert process.returncode == 0
    load.answers = [Answer(*each) for each in json.loads(told)]


def main() -> None:
    """Carry the plans out."""
    given = json.load(sys.stdin)
    end = time.monotonic() + given["seconds"]
    answers: list[Answer] = []
    threads = [
        threading.Thread(target=_client, args=(given["port"], plan, number, end, answers))
        for plan in given["plans"]
        for number in range(plan["clients"])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    json.dump(answers, sys.stdout)


def _client(port: int, plan: dict[str, Any], number: int, end: float, answers: list[Answer]) -> None:
    tokens = iter(plan["tokens"][number :: plan["clients"]]) if "tokens" in plan else None
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    while time.monotonic() < end:
        token = next(tokens, None) if tokens is not None else plan.get("token")
        if tokens is not None and token is None:
            return
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if plan.get("close"):
            headers["Connection"] = "close"
        name = f"{plan['name']}:{token}" if tokens is not None else plan["name"]
        start = time.monotonic()
        try:
            connection.request(plan.get("method", "GET"), plan["path"], headers=headers)
            response = connection.getresponse()
            response.read()
            status, retry_after = response.status, response.getheader("Retry-After")
        except (OSError, http.client.HTTPException):
            connection.close()
            status, retry_after = 0, None
        answers.append(Answer(start, time.monotonic() - start, status, retry_after, name))
        time.sleep(plan.get("pause", 0.02))


if __name__ == "__main__":
    main()
