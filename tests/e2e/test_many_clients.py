"""Two thousand clients who are slow or greedy, from one address: the others are answered all the same."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from databases import Databases
from e2e.crowd import KINDS
from e2e.processes import Server, environment, serving
from e2e.waits import answered_soon, waits

# Two thousand clients keep both processors busy, and waits are measured.
pytestmark = pytest.mark.alone

TESTS = Path(__file__).resolve().parent.parent
SECONDS = 4


@pytest.fixture(scope="module")
def server(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with databases.migrated() as url, serving(tmp_path_factory.mktemp("crowd"), environment(url)) as lent:
        yield lent


@contextmanager
def crowd(server: Server, kinds: list[str]) -> Iterator[None]:
    """Let two thousand clients of these kinds do their worst, in a process of their own."""
    command = [sys.executable, "-m", "e2e.crowd", str(server.port), str(SECONDS + 30), *kinds]
    with subprocess.Popen(command, cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "\n"
            yield
            assert process.poll() is None, "the clients have stayed until the end"
        finally:
            process.kill()


SLOW = [name for name, kind in KINDS.items() if not kind.fast]
FAST = [name for name, kind in KINDS.items() if kind.fast]


@pytest.mark.parametrize("kinds", [["no readers"], FAST, SLOW + FAST], ids=["no readers", "fast", "all"])
def test_two_thousand_of_them_keep_nobody_waiting(server: Server, kinds: list[str]) -> None:
    def measure() -> list[float]:
        with crowd(server, kinds):
            return list(waits(server, SECONDS))

    answered_soon(measure)
    assert '"ERROR"' not in server.log
