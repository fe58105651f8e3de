"""A reload that could not be served is no reload."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from databases import Databases
from e2e.processes import KEYS, Server, environment, serving


def workers(server: Server) -> set[int]:
    return {child.pid for child in psutil.Process(server.process.pid).children()}


def wait_until(server: Server, happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline, server.log
        time.sleep(0.1)


def test_a_reload_with_broken_keys_leaves_the_old_workers_serving(databases: Databases, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(KEYS)
    with databases.migrated() as url:
        variables = environment(url, AUTHAPP_JWT_KEYS_FILE=str(keys))
        del variables["AUTHAPP_JWT_KEYS"]
        with serving(tmp_path, variables) as server:
            wait_until(server, lambda: server.log.count("Worker ready") == 2)
            before = workers(server)
            keys.write_text("{")
            server.process.send_signal(signal.SIGHUP)
            wait_until(server, lambda: "Nothing is reloaded" in server.log)
            assert "AUTHAPP_JWT_KEYS is not a JWK Set" in server.log
            assert server.call("GET", "/health/ready").status_code == 200
            assert workers(server) == before

            keys.write_text(KEYS)
            server.process.send_signal(signal.SIGHUP)
            wait_until(server, lambda: not workers(server) & before and len(workers(server)) == 2)
            assert server.call("GET", "/health/ready").status_code == 200
