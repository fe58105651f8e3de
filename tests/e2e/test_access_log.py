"""The log of requests goes where gunicorn's own options say."""

import json
import signal
import time
from pathlib import Path

from databases import Databases
from e2e.processes import Server, environment, serving


def logged(file: Path, path: str) -> list[dict[str, object]]:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        lines = file.read_text().splitlines() if file.exists() else []
        if found := [line for line in map(json.loads, lines) if line["path"] == path]:
            return found
        time.sleep(0.1)
    return []


def asked(server: Server, path: str) -> str:
    server.call("GET", path)
    return path


def test_requests_are_logged_to_the_file_that_is_named_also_after_its_rotation(
    databases: Databases, tmp_path: Path
) -> None:
    file = tmp_path / "access.log"
    with databases.migrated() as url:
        variables = environment(url, GUNICORN_CMD_ARGS=f"--access-logfile {file}", WEB_CONCURRENCY="1")
        with serving(tmp_path, variables) as server:
            assert logged(file, asked(server, "/before"))
            assert "gunicorn.access" not in server.log

            file.rename(tmp_path / "access.log.1")
            server.process.send_signal(signal.SIGUSR1)
            time.sleep(1)
            assert logged(file, asked(server, "/after"))
            assert not logged(tmp_path / "access.log.1", "/after")
