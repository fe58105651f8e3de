"""Servers of others that stand beside authapp: nginx, HAProxy, PgBouncer, as Debian has them."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from e2e.processes import ROOT

SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"  # not in the PATH of an ordinary user


def installed(program: str) -> str:
    """Return the path of ``program``; without it a test is skipped, and in CI it fails."""
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SYSTEM_FOLDERS}")
    if found is None:
        reason = f"{program} is not installed: on Debian, `apt install {program}` installs it."
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def rendered(shipped: str, replacements: dict[str, str]) -> str:
    """Return a file of ``deploy/``, with the values of the test in place of those that its reader is to change."""
    text = (ROOT / "deploy" / shipped).read_text()
    for theirs, ours in replacements.items():
        assert text.count(theirs) == 1, theirs
        text = text.replace(theirs, ours)
    return text


@contextmanager
def running(command: Sequence[str], port: int, log: Path, stop: int = signal.SIGTERM) -> Iterator[int]:
    """Run a server, and lend its port; what it writes goes to ``log``, and ``stop`` is the signal that ends it."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        # For what hangs: beside other tests, a start may take long.
        deadline = time.monotonic() + 60
        while not listening(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield port
    finally:
        process.send_signal(stop)
        process.wait(10)


def listening(port: int) -> bool:
    """Tell whether something takes connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def unavailable(response: requests.Response, status: int = 503) -> None:
    """Check that a proxy without a node, or without its answer, says so as authapp does."""
    assert response.status_code == status, response.text
    assert int(response.headers["Retry-After"]) > 0
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Cache-Control"] == "no-store"
    body = response.json()
    assert body["status"] == status
    assert body["code"] == {502: "internal_error", 503: "service_unavailable", 504: "internal_error"}[status]
    assert body["type"] == f"/problems/{body['code']}"
