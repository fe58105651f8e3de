"""How long a server lets its clients wait, without the time in which the machine gave the processor to others."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import requests

from e2e.processes import Server

SOON = 0.5
"""Seconds within which ``/health/live`` answers, whatever other clients do."""


def waits(server: Server, seconds: float = 0.0, least: int = 10) -> Iterator[float]:
    """Yield how long ``/health/live`` takes, again and again for so many seconds, and at least so often."""
    processes = [os.getpid(), *(worker.pid for worker in psutil.Process(server.process.pid).children())]
    end = time.monotonic() + seconds
    number = 0
    while number < least or time.monotonic() < end:
        number += 1
        start, before = time.monotonic(), [_kept_waiting(process) for process in processes]
        assert requests.get(f"{server.url}/health/live", timeout=10).status_code == 200
        wait = time.monotonic() - start
        yield wait - max(_kept_waiting(process) - was for process, was in zip(processes, before, strict=True))
        if seconds:
            time.sleep(0.1)


def _kept_waiting(process: int) -> float:
    """Return for how many seconds a process could have run while others had the processor."""
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[1]) / 1e9
