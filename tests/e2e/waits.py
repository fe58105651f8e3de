"""How long a server lets its clients wait, without the time in which the machine gave the processor to others."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import psutil
import requests

from e2e.processes import Server

SOON = 0.5
"""Seconds within which ``/health/live`` answers, whatever other clients do."""


ATTEMPTS = 3


def answered_soon(measure: Callable[[], Iterable[float]], soon: float = SOON) -> None:
    """Check that nobody waits for ``soon`` or longer, where ``measure`` sends the clients and returns the waits.

    What is the machine's fault does not happen each time; what is the server's does: so it is measured again.
    """
    measured = []
    for _ in range(ATTEMPTS):
        measured.append(sorted(measure())[-5:])
        if measured[-1][-1] < soon:
            return
    raise AssertionError(f"the longest waits of each attempt, in seconds: {measured}")


def waits(server: Server, seconds: float = 0.0, least: int = 10) -> Iterator[float]:
    """Yield how long ``/health/live`` takes, again and again for so many seconds, and at least so often.

    First this process has to send, then a worker to answer: the times in which each was kept waiting add up. Threads of
    this process wait for each other, since only one of them can run.
    """
    workers = [Path(f"/proc/{worker.pid}") for worker in psutil.Process(server.process.pid).children()]
    end = time.monotonic() + seconds
    number = 0
    while number < least or time.monotonic() < end:
        number += 1
        threads = list(Path("/proc/self/task").iterdir())
        start, before = time.monotonic(), _kept_waiting([*threads, *workers])
        assert requests.get(f"{server.url}/health/live", timeout=10).status_code == 200
        wait, after = time.monotonic() - start, _kept_waiting([*threads, *workers])
        longest = [max(after[each] - before[each] for each in some if each in after) for some in (threads, workers)]
        yield wait - sum(longest)
        if seconds:
            time.sleep(0.1)


def _kept_waiting(tasks: Iterable[Path]) -> dict[Path, float]:
    """Return for how many seconds each task could have run while others had the processor."""
    found = {}
    for task in tasks:
        with contextlib.suppress(OSError):  # it has ended
            found[task] = int((task / "schedstat").read_text().split()[1]) / 1e9
    return found
