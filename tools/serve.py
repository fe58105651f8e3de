"""``make run``: serve the API on the embedded PostgreSQL, with its data in ``instance/``. Ctrl-C stops both."""

import fcntl
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn

from authapp.shared_names import DEFAULT_PORT
from tools.embedded_postgres import EmbeddedPostgres

ROOT = Path(__file__).resolve().parent.parent
INSTANCE = ROOT / "instance"
READY_WITHIN = 30
"""In seconds."""
HINT = """
  authapp answers on {url}

  docs    {url}/docs{mails}
  try it  curl {url}/api/v1/auth/register -H 'Content-Type: application/json' \\
            -d '{{"username": "ada", "email": "ada@example.com", "password": "a long sentence is easy to keep"}}'

  Ctrl-C stops the server and its PostgreSQL; the data stays in instance/.
"""
MAILS = "\n  mails   {url}/dev/mail"


def main() -> int:
    """Serve until a signal stops the process; return the exit status."""
    port = _port()
    os.chdir(ROOT)
    os.environ.update(AUTHAPP_ENV="development", FLASK_APP="wsgi.py", PORT=str(port))
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
    names = ("AUTHAPP_DATABASE_URL", "AUTHAPP_DATABASE_URL_FILE", "DATABASE_URL", "DATABASE_URL_FILE")
    given = next((name for name in names if os.environ.get(name, "").strip()), None)
    if given:
        print(f"Using the database of {given}.", flush=True)
    else:
        postgres.start()
        (INSTANCE / "database-url").write_text(postgres.ensure_database("authapp") + "\n")
    migrated = subprocess.run([sys.executable, "-m", "flask", "db", "upgrade"], check=False)
    if migrated.returncode:
        raise SystemExit(migrated.returncode)


def _serve(port: int) -> int:
    command = [sys.executable, "-m", "flask", "serve", "--bind", f"127.0.0.1:{port}", "wsgi:app"]
    server = subprocess.Popen(command, start_new_session=True)
    try:
        reason = _wait_until_ready(server, port)
        if reason:
            print(f"authapp is not ready after {READY_WITHIN} s: {reason}", file=sys.stderr)
            return 1
        if server.poll() is None:
            print(_hint(f"http://127.0.0.1:{port}"), flush=True)
        return server.wait()
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGTERM)
            server.wait(60)


def _hint(url: str) -> str:
    goes_elsewhere = any(os.environ.get(name, "").strip() for name in ("AUTHAPP_MAIL_URL", "AUTHAPP_MAIL_URL_FILE"))
    return HINT.format(url=url, mails="" if goes_elsewhere else MAILS.format(url=url))


def _wait_until_ready(server: "subprocess.Popen[bytes]", port: int) -> str | None:
    """Return what is missing after ``READY_WITHIN`` seconds; ``None`` when the server is ready, or has ended."""
    deadline = time.monotonic() + READY_WITHIN
    reason = None
    while server.poll() is None and time.monotonic() < deadline:
        reason = _what_is_missing(port)
        if reason is None:
            return None
        # A request to a server that is not ready is a line in its log.
        time.sleep(0.25)
    return reason if server.poll() is None else None


def _what_is_missing(port: int) -> str | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
    try:
        connection.request("GET", "/health/ready")
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException):
        return f"nothing answers on port {port}."
    finally:
        connection.close()
    if response.status == http.HTTPStatus.OK:
        return None
    try:
        return " ".join(error["detail"] for error in json.loads(body)["errors"])
    except (ValueError, KeyError, TypeError):
        return f"/health/ready answers {response.status}."


def _port() -> int:
    text = os.environ.get("PORT", "").strip() or str(DEFAULT_PORT)
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
