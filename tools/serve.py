"""``make run``: serve the API on the embedded PostgreSQL, with its data in ``instance/``. Ctrl-C stops both."""

import fcntl
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn

from tools.embedded_postgres import EmbeddedPostgres

ROOT = Path(__file__).resolve().parent.parent
INSTANCE = ROOT / "instance"
HINT = """
  authapp answers on {url}

  docs    {url}/docs
  try it  curl {url}/api/v1/auth/register -H 'Content-Type: application/json' \\
            -d '{{"username": "ada", "email": "ada@example.com", "password": "a long sentence is easy to keep"}}'

  Ctrl-C stops the server and its PostgreSQL; the data stays in instance/.
"""


def main() -> int:
    """Serve until a signal stops the process; return the exit status."""
    port = _port()
    os.chdir(ROOT)
    os.environ.update(AUTHAPP_ENV="development", FLASK_APP="wsgi.py")
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, _interrupt)
    postgres = EmbeddedPostgres(INSTANCE / "postgres")
    INSTANCE.mkdir(exist_ok=True)
    lock_file = _lock()
    try:
        _prepare_database(postgres)
        return _serve(port)
    except KeyboardInterrupt:
        return 0
    finally:
        # Ignore further signals: a second Ctrl-C would leave the database running.
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(name, signal.SIG_IGN)
        postgres.stop()
        lock_file.close()


def _lock() -> IO[str]:
    """Lock ``instance/`` for this process. With two, the first one to stop would stop the database of the other."""
    file = (INSTANCE / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        _stop("`make run` is running in this checkout already: stop it first, or use another checkout.")
    return file


def _prepare_database(postgres: EmbeddedPostgres) -> None:
    if "DATABASE_URL" in os.environ or "AUTHAPP_DATABASE_URL" in os.environ:
        print("Using the database of DATABASE_URL.", flush=True)
    else:
        postgres.start()
        (INSTANCE / "database-url").write_text(postgres.ensure_database("authapp") + "\n")
    subprocess.run([sys.executable, "-m", "flask", "db", "upgrade"], check=True)


def _serve(port: int) -> int:
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "wsgi:app"]
    server = subprocess.Popen(command, start_new_session=True)
    try:
        if _is_ready(server, port):
            print(HINT.format(url=f"http://127.0.0.1:{port}"), flush=True)
        return server.wait()
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGTERM)
            server.wait(60)


def _is_ready(server: "subprocess.Popen[bytes]", port: int) -> bool:
    deadline = time.monotonic() + 30
    while server.poll() is None and time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", "/health/ready")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return True
        except OSError:
            time.sleep(0.1)
        finally:
            connection.close()
    return False


def _port() -> int:
    text = os.environ.get("PORT") or "8000"
    if not text.isdecimal() or not 0 < int(text) < 65536:
        _stop(f"PORT={text} is no port. Use a number from 1 to 65535.")
    port = int(text)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            _stop(f"Port {port} is in use. Choose another: make run PORT={port + 1}")
    return port


def _stop(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    raise SystemExit(1)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    raise SystemExit(main())
