"""Real gunicorns on 127.0.0.1, each in a process of its own."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HELLO = ("--config", os.devnull, "--workers", "2", "tools.bench.hello:app")
OURS = ("wsgi:app",)
MODELS: dict[str, tuple[str, ...]] = {
    "sync": ("--worker-class", "sync"),
    "gthread, 8 threads": ("--worker-class", "gthread", "--threads", "8"),
    "gthread, 32 threads": ("--worker-class", "gthread", "--threads", "32"),
    "gevent": ("--worker-class", "gevent"),
}


@contextlib.contextmanager
def serving(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """Lend the address of a gunicorn with these arguments."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
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
