"""Programs in processes of their own: gevent replaces sockets and locks, which must not reach pytest's process."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import authapp
from e2e.processes import START
from ports import free_port

SOURCE = Path(authapp.__file__).parent.parent

APPLICATION = """
import gevent
import io
import tempfile
import time

CONTENT = b"x" * 1_000_000
FILE = tempfile.TemporaryFile()
FILE.write(CONTENT)
FILE.flush()

def later(body):
    yield body.read()

def halfway():
    yield b"half"
    raise gevent.GreenletExit

class Closed(list):
    def close(self):
        time.sleep(1)
        raise ValueError("the answer is out already")

def app(environ, start_response):
    path, stream = environ["PATH_INFO"], environ["wsgi.input"]
    if path == "/error":
        raise ValueError(environ["QUERY_STRING"])
    if path == "/exit":
        raise SystemExit
    if path == "/exit-later":
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "10")])
        return halfway()
    if path == "/hints":
        environ["wsgi.early_hints"]([("Link", "</style.css>; rel=preload")])
        time.sleep(1)
    if path == "/nothing":
        start_response("204 No Content", [])
        return Closed()
    if path == "/slow":
        time.sleep(1.5)
    if path == "/late":
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
        return later(stream)
    if path == "/file":
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(CONTENT)))])
        return environ["wsgi.file_wrapper"](open(f"/proc/self/fd/{FILE.fileno()}", "rb"))
    body = b"hello"
    if path == "/read":
        body = stream.read(10)
    if path == "/read-all":
        body = str(len(stream.read(65536))).encode()
    if path == "/large":
        body = CONTENT
    if path == "/environ":
        body = repr({k: v for k, v in environ.items() if isinstance(v, str)}).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]

def create():
    return app
"""


def environment(path: Path = SOURCE) -> dict[str, str]:
    """Return the environment of a process that imports authapp from ``path``: from where this one has it."""
    return os.environ | {"PYTHONPATH": str(path)}


def printed(program: str, stream: str = "stdout") -> str:
    """Return what a Python program prints, to standard error if ``stream`` is ``stderr``."""
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    text: str = getattr(done, stream)
    return text


class Gunicorn:
    """A running gunicorn with the settings of the package, and one worker."""

    def __init__(self, folder: Path, *arguments: str, path: Path = SOURCE) -> None:
        self.port = free_port()
        self._log = folder / "gunicorn.log"
        command = [sys.executable, "-m", "gunicorn", "--config", "python:authapp.serving.settings"]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--bind", f"127.0.0.1:{self.port}", "--workers", "1", *arguments],
                cwd=folder,
                env=environment(path),
                stdout=log,
                stderr=log,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def wait_for(self, words: str, times: int = 1) -> None:
        deadline = time.monotonic() + START
        while self.log.count(words) < times:
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=15)


def everything(client: socket.socket) -> bytes:
    """Return what arrives until the server closes."""
    received = b""
    with client:
        while more := client.recv(65536):
            received += more
    return received


@contextlib.contextmanager
def gunicorn(folder: Path, *arguments: str, path: Path = SOURCE) -> Iterator[Gunicorn]:
    """Lend a gunicorn whose worker is ready; ``hello.py`` in ``folder`` is its application.

    authapp is imported from ``path`` instead of this checkout where it is given.
    """
    (folder / "hello.py").write_text(APPLICATION)
    running = Gunicorn(folder, *(arguments or ("hello:app",)), path=path)
    try:
        running.wait_for("Worker ready")
        yield running
    finally:
        if running.process.poll() is None:
            running.process.send_signal(signal.SIGTERM)
            running.process.wait(30)
