"""Running real gunicorns on 127.0.0.1, each in its own process."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HELLO = ("--config", os.devnull, "--workers", "2", "tools.bench.hello:app")
OURS = ("wsgi:app",)


@dataclass(frozen=True)
class Model:
    """A server model: arguments for gunicorn, the number of workers, and the size of each connection pool."""

    arguments: tuple[str, ...] = ()
    workers: int = 2
    pool: int = 8

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that set this for the server."""
        return {"WEB_CONCURRENCY": str(self.workers), "AUTHAPP_DATABASE_POOL_SIZE": str(self.pool)}


def _threads(count: int) -> tuple[str, ...]:
    return ("--worker-class", "gthread", "--threads", str(count))


MODELS = {
    "sync, 2 workers": Model(("--worker-class", "sync")),
    "sync, 8 workers": Model(("--worker-class", "sync"), workers=8),
    "gthread, 2 x 8 threads": Model(_threads(8)),
    "gthread, 2 x 32 threads, pool of 32": Model(_threads(32), pool=32),
    "gevent, 2 workers": Model(),
    "gevent, 1 worker": Model(workers=1),
    "gevent, 4 workers": Model(workers=4),
    "gevent, pool of 1": Model(pool=1),
    "gevent, pool of 4": Model(pool=4),
    "gevent, pool of 16": Model(pool=16),
}
"""A model without a worker class uses the one of gunicorn.conf.py, gevent."""


def free_port() -> int:
    """Return a port that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def serving(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run a gunicorn with these arguments, and yield its URL."""
    port = free_port()
    folder = ROOT / "build" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"gunicorn-{port}.log").open("wb") as log:
        command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", *arguments]
        server = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **(environment or {})}, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _wait(server, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
        Path(log.name).unlink()


def _wait(server: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        with contextlib.suppress(OSError):
            connection.request("GET", "/health/live")
            connection.getresponse().read()
            return
        if server.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"gunicorn did not answer on port {port}: see build/bench/gunicorn-{port}.log")
