"""Two thousand clients who are slow or greedy, from one address: the others are answered all the same."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from databases import Databases
from e2e.crowd import CLIENTS, KINDS
from e2e.processes import Server, environment, serving

TESTS = Path(__file__).resolve().parent.parent
SOON = 0.5
SECONDS = 8


@contextmanager
def crowd(server: Server, kinds: list[str]) -> Iterator[None]:
    """Let ``CLIENTS`` clients of these kinds do their worst, in a process of their own."""
    command = [sys.executable, "-m", "e2e.crowd", str(server.port), str(SECONDS), *kinds]
    with subprocess.Popen(command, cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "\n"
            yield
            output, _ = process.communicate(timeout=60)
            assert json.loads(output)["connections"] >= CLIENTS
        finally:
            process.kill()


SLOW = [name for name, kind in KINDS.items() if not kind.fast]
FAST = [name for name, kind in KINDS.items() if kind.fast]


@pytest.mark.parametrize("kinds", [["no readers"], FAST, SLOW + FAST], ids=["no readers", "fast", "all"])
def test_two_thousand_of_them_keep_nobody_waiting(databases: Databases, tmp_path: Path, kinds: list[str]) -> None:
    with databases.migrated() as url, serving(tmp_path, environment(url)) as server:
        seconds = []
        with crowd(server, kinds):
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                start = time.monotonic()
                assert requests.get(f"{server.url}/health/live", timeout=5).status_code == 200
                seconds.append(time.monotonic() - start)
                time.sleep(0.1)
        assert max(seconds) < SOON, sorted(seconds)[-5:]
        assert '"ERROR"' not in server.log
