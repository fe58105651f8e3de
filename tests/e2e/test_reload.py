"""A reload that could not be served is no reload."""

import signal
import time
from pathlib import Path

import psutil

from databases import Databases
from e2e.processes import KEYS, Server, environment, serving


def workers(server: Server) -> set[int]:
    return {child.pid for child in psutil.Process(server.process.pid).children()}


def wait_for(server: Server, words: str) -> None:
    deadline = time.monotonic() + 30
    while words not in server.log:
        assert time.monotonic() < deadline, server.log
        time.sleep(0.1)


def test_a_reload_with_broken_keys_leaves_the_old_workers_serving(databases: Databases, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(KEYS)
    with databases.migrated() as url:
        variables = environment(url, AUTHAPP_JWT_KEYS_FILE=str(keys))
        del variables["AUTHAPP_JWT_KEYS"]
        with serving(tmp_path, variables) as server:
            before = workers(server)
            keys.write_text("{")
            server.process.send_signal(signal.SIGHUP)
            wait_for(server, "Nothing is reloaded")
            assert "AUTHAPP_JWT_KEYS is not a JWK Set" in server.log
            assert server.call("GET", "/health/ready").status_code == 200
            assert workers(server) == before

            keys.write_text(KEYS)
            server.process.send_signal(signal.SIGHUP)
            deadline = time.monotonic() + 30
            while workers(server) & before or len(workers(server)) < 2:
                assert time.monotonic() < deadline, server.log
                time.sleep(0.1)
            assert server.call("GET", "/health/ready").status_code == 200
