"""``make run`` and Ctrl-C, as a newcomer meets them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import Popen

import psutil
import pytest
import requests
from tools import serve

from e2e.processes import ROOT
from factories import PASSWORD
from ports import free_port

ADA = {"username": "ada", "email": "ada@example.com", "password": PASSWORD}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What ``make run`` needs of the checkout, with an instance folder of its own, below a folder that is private."""
    for name in ("wsgi.py", "gunicorn.conf.py", ".flaskenv"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "tools", tmp_path / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    # No copy: that would be a folder of somebody's own migrations beside authapp's.
    (tmp_path / "migrations").symlink_to(ROOT / "migrations")
    tmp_path.chmod(0o700)
    return tmp_path


@contextmanager
def running(checkout: Path, port: int) -> Iterator[tuple[str, Path]]:
    """Run the server until Ctrl-C, and check that nothing of it is left."""
    unset = ("AUTHAPP_", "DATABASE_URL")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(unset)}
    output = checkout / "output"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tools.serve"],
            cwd=checkout,
            # An empty variable counts as unset, as everywhere.
            env=environment | {"PORT": str(port), "WEB_CONCURRENCY": "", "DATABASE_URL": ""},
            stdout=log,
            stderr=log,
        )
    family: list[psutil.Process] = []
    try:
        deadline = time.monotonic() + 60
        while "Ctrl-C stops" not in output.read_text():
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < deadline, output.read_text()
            time.sleep(0.1)
        family = psutil.Process(process.pid).children(recursive=True)
        yield f"http://127.0.0.1:{port}", output
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        _, alive = psutil.wait_procs(family, timeout=10)
        assert not alive


def test_a_second_run_finds_the_data_of_the_first(checkout: Path) -> None:
    port = free_port()
    before = {path: path.stat().st_mode for path in (checkout, checkout.parent, Path.home())}
    with running(checkout, port) as (url, output):
        assert f"{url}/docs" in output.read_text()
        assert f"{url}/dev/mail" in output.read_text()
        assert requests.get(f"{url}/dev/mail", timeout=10).status_code == 200
        assert requests.get(f"{url}/account/verify-email", timeout=10).status_code == 200
        metadata = requests.get(f"{url}/.well-known/oauth-authorization-server", timeout=10).json()
        assert metadata["issuer"] == url
        assert all(value.startswith(url) for name, value in metadata.items() if name.endswith(("_endpoint", "_uri")))
        assert requests.post(f"{url}/api/v1/auth/register", json=ADA, timeout=10).status_code == 201
        pair = requests.post(f"{url}/api/v1/auth/login", json=ADA | {"email": ""}, timeout=10)
        assert pair.status_code == 422
        credentials = {name: ADA[name] for name in ("username", "password")}
        token = requests.post(f"{url}/api/v1/auth/login", json=credentials, timeout=10).json()["access_token"]
    with running(checkout, port) as (url, _):
        headers = {"Authorization": f"Bearer {token}"}
        assert requests.get(f"{url}/api/v1/users/me", headers=headers, timeout=10).json()["username"] == "ada"
    assert {path: path.stat().st_mode for path in before} == before, "nobody's folder was opened"
    assert (checkout / "instance" / "jwt-keys.json").stat().st_mode & 0o077 == 0
    assert (checkout / "instance" / "postgres").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("port", ["0", "x", "70000"])
def test_a_port_that_is_none_is_refused_in_one_line(port: str) -> None:
    command = [sys.executable, "-m", "tools.serve"]
    result = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PORT": port}, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 1
    assert result.stderr == f"PORT={port} is no port. Use a number from 1 to 65535.\n"


def test_the_hint_names_the_mails_unless_they_go_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTHAPP_MAIL_URL", "")
    assert "mails   http://x/dev/mail\n" in serve._hint("http://x")
    monkeypatch.setenv("AUTHAPP_MAIL_URL", "smtp://mail.example.com")
    assert "/dev/mail" not in serve._hint("http://x")


class NeverReady(BaseHTTPRequestHandler):
    """What a server answers whose database has not been migrated."""

    def do_GET(self) -> None:
        """Count the request, and refuse it."""
        asked.append(self.path)
        body = json.dumps({"errors": [{"pointer": "#/migrations", "detail": "The database is not migrated."}]}).encode()
        self.send_response(503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


asked: list[str] = []


def test_a_server_that_is_not_ready_is_asked_now_and_then_and_the_end_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    never_ready = ThreadingHTTPServer(("127.0.0.1", 0), NeverReady)
    threading.Thread(target=never_ready.serve_forever, daemon=True).start()
    # A process that runs until it is told to end takes the place of gunicorn.
    monkeypatch.setattr(serve, "READY_WITHIN", 2)
    monkeypatch.setattr(serve.subprocess, "Popen", lambda *_, **__: Popen(["sleep", "60"]))
    try:
        assert serve._serve(never_ready.server_port) == 1
    finally:
        never_ready.shutdown()
        never_ready.server_close()
    assert capsys.readouterr().err == "authapp is not ready after 2 s: The database is not migrated.\n"
    assert 2 <= len(asked) <= 10


def test_settings_that_cannot_be_used_end_the_run_without_a_traceback(checkout: Path) -> None:
    # A database that is given is not started; it is not asked either, for the settings are read first.
    given = {"PORT": str(free_port()), "DATABASE_URL": "postgresql://127.0.0.1:1/none", "AUTHAPP_REGISTRATON": "closed"}
    result = subprocess.run(
        [sys.executable, "-m", "tools.serve"], cwd=checkout, env=os.environ | given, capture_output=True, text=True
    )
    assert result.returncode == 1
    assert "AUTHAPP_REGISTRATON is not a setting. Do you mean AUTHAPP_REGISTRATION?" in result.stderr
    assert "Traceback" not in result.stderr
