"""A flood of logins takes neither the memory nor the processors of the rest: the bulkhead, on the real server."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from authapp import create_app
from authapp.config import Settings
from conftest import dispose
from databases import Databases
from e2e.processes import ROOT, Server, environment, serving
from factories import PASSWORD, a_user
from settings import settings

AT_ONCE = 64
ACCOUNTS = 16
"""So many that logins do not wait for each other at the row of one."""
SECONDS = 4.0
ROUNDS = 3
SLOWER = 5
NOISE = 0.02
"""A p99 below this, in seconds, is a matter of the scheduler of a small machine: it counts as this much."""

REAL_COST = {name: getattr(Settings, name) for name in ("argon2_memory_kib", "argon2_time_cost")}
HASH = 19_456 * 1024
SPARE = 48 * 1024 * 1024
"""What the threads and buffers of 64 connections may take besides."""


def p99(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]


def pings(server: Server, token: str, go_on: Callable[[], bool]) -> list[float]:
    times = []
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"
        while go_on():
            start = time.perf_counter()
            assert session.get(f"{server.url}/api/v1/ping", timeout=30).status_code == 200
            times.append(time.perf_counter() - start)
    return times


def until(end: float) -> Callable[[], bool]:
    return lambda: time.monotonic() < end


def resident(server: Server) -> int:
    """Return the memory of the workers, in bytes."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    statuses = [Path(f"/proc/{child}/status").read_text() for child in children]
    return sum(int(status.partition("VmRSS:")[2].split()[0]) * 1024 for status in statuses)


def accounts(url: str) -> list[str]:
    """Create accounts whose passwords are hashed as in production, and return their usernames."""
    app = create_app(settings(database_url=url, **REAL_COST))
    usernames = [a_user(app).username for _ in range(ACCOUNTS)]
    dispose(app)
    return usernames


def flooded(server: Server, usernames: list[str], token: str) -> tuple[set[int], list[float], int]:
    """Return the statuses of the logins, how long the pings took meanwhile, and the most memory."""
    arguments = [server.url, ",".join(usernames), PASSWORD, str(AT_ONCE), str(SECONDS)]
    command = [sys.executable, "-m", "e2e.flood", *arguments]
    with subprocess.Popen(command, cwd=ROOT / "tests", stdout=subprocess.PIPE, text=True) as flood:
        going_on = until(time.monotonic() + SECONDS)
        times, most = [], 0
        while going_on():
            times += pings(server, token, until(time.monotonic() + 0.1))
            most = max(most, resident(server))
        output, _ = flood.communicate(timeout=60)
    assert flood.returncode == 0
    return {int(status) for status in json.loads(output)}, times, most


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_a_flood_of_logins_leaves_ping_responsive_and_the_memory_bounded(databases: Databases, tmp_path: Path) -> None:
    real = {"AUTHAPP_HASHING_QUEUE": "3", "AUTHAPP_HASHING_CONCURRENCY": "1"}
    with databases.migrated() as url, serving(tmp_path, environment(url, **real)) as server:
        usernames = accounts(url)
        body = {"username": usernames[0], "password": PASSWORD}
        token = server.call("POST", "/api/v1/auth/login", json=body).json()["access_token"]

        ratios = []
        for _ in range(ROUNDS):
            idle = pings(server, token, until(time.monotonic() + 2))
            before = resident(server)
            statuses, times, most = flooded(server, usernames, token)
            assert statuses <= {200, 401, 429, 503}
            assert {200, 503} <= statuses  # or the bulkhead was not what held it
            assert most - before <= 2 * HASH + SPARE
            ratios.append(p99(times) / max(p99(idle), NOISE))
            if ratios[-1] <= SLOWER:
                break
        assert min(ratios) <= SLOWER, ratios
        # A statement that timed out, on a machine with so much to do, is a 503 that is logged as an error.
        assert "Traceback (most recent call last)" not in server.log
