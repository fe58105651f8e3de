"""The real server: gunicorn in a process of its own, in production mode, on a port and a database of its own."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import requests

from commands import run_module
from ports import free_port
from settings import ENCRYPTION_KEYS, KEYS, PASSKEYS

ROOT = Path(__file__).resolve().parent.parent.parent


WIDE_LIMITS = {
    **{f"AUTHAPP_RATE_LIMIT_{name}": "off" for name in ("LOGIN", "REGISTER", "REFRESH", "PASSWORD", "MAIL")},
    "AUTHAPP_HASHING_QUEUE_SECONDS": "30",
    "AUTHAPP_LOGIN_FAILURES_PER_ACCOUNT": "50",
    "AUTHAPP_SESSIONS_PER_ACCOUNT": "10000",
}
"""The tests come from one address and at once; those of the limits set narrow ones."""


PROVIDERS = {
    "AUTHAPP_PROVIDERS": '{"example": {"kind": "github", "issuer": "http://localhost:9", "client_id": "authapp"}}',
    "AUTHAPP_REDIRECT_URIS": "https://app.example.com/callback",
}
"""A provider that needs no question to begin a login. Nobody answers at its port."""


def environment(database_url: str, **changes: str) -> dict[str, str]:
    """Return the environment of a production server, which has second factors and passkeys."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("AUTHAPP_", "DATABASE_URL"))}
    return ours | {
        "AUTHAPP_ENV": "production",
        "AUTHAPP_DATABASE_URL": database_url,
        "AUTHAPP_JWT_KEYS": KEYS,
        "AUTHAPP_ISSUER": "https://auth.example.com",
        "AUTHAPP_AUDIENCE": "authapp",
        "AUTHAPP_ENCRYPTION_KEYS": ENCRYPTION_KEYS,
        "AUTHAPP_ORIGINS": " ".join(PASSKEYS["origins"]),
        **WIDE_LIMITS,
        **changes,
    }


START = 90.0
"""Seconds that a server may take to start or stop, beside other tests: a deadline for what hangs, no measurement."""


def with_mail(variables: dict[str, str], folder: Path, **changes: str) -> dict[str, str]:
    """Return the environment of a server that can send mail, into ``folder``, and has everything that needs mail."""
    return variables | {
        "AUTHAPP_MAIL_URL": folder.as_uri(),
        "AUTHAPP_MAIL_FROM": "authapp <no-reply@auth.example.com>",
        "AUTHAPP_MAIL_RATE_LIMIT": "off",
        "AUTHAPP_MAIL_SENDER": "off",
        "AUTHAPP_LOGIN_LINKS": "on",
        **changes,
    }


class Server:
    """A running gunicorn; ``url`` is its address, and ``log`` all that it has written, but to ``streams``.

    With a ``certificate``, which its variables make it use, it is asked by TLS.
    """

    def __init__(
        self,
        folder: Path,
        variables: dict[str, str],
        port: int | None = None,
        root: Path = ROOT,
        command: Sequence[str] = (sys.executable, "-m", "gunicorn"),
        streams: Mapping[str, int] | None = None,
        certificate: Path | None = None,
    ) -> None:
        self.port = port or free_port()
        self.database_url = variables["AUTHAPP_DATABASE_URL"]
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self.port}"
        self._verify = str(certificate) if certificate else True
        self._log = folder / f"gunicorn-{self.port}.log"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--bind", f"127.0.0.1:{self.port}", "wsgi:app"],
                cwd=root,
                env=variables,
                **{"stdout": log.fileno(), "stderr": log.fileno(), **(streams or {})},
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def wait_until(self, path: str = "/health/ready", status: int = 200, seconds: float = START) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(requests.RequestException):
                if requests.get(self.url + path, timeout=5, verify=self._verify).status_code == status:
                    return
            assert self.process.poll() is None, self.log
            time.sleep(0.1)
        raise AssertionError(f"{path} did not answer {status}:\n{self.log}")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(START)

    def call(self, method: str, path: str, token: str | None = None, **options: Any) -> requests.Response:
        headers = options.pop("headers", {}) | ({"Authorization": f"Bearer {token}"} if token else {})
        return requests.request(method, self.url + path, headers=headers, timeout=30, verify=self._verify, **options)


@contextlib.contextmanager
def serving(folder: Path, variables: dict[str, str], root: Path = ROOT, port: int | None = None) -> Iterator[Server]:
    """Lend a server that is ready; ``root`` is the checkout that it serves."""
    server = Server(folder, variables, port, root)
    try:
        server.wait_until()
        yield server
    finally:
        server.stop()


def flask(
    variables: dict[str, str], *arguments: str, stdin: str | None = None, root: Path = ROOT
) -> "subprocess.CompletedProcess[str]":
    """Run a ``flask`` command; ``root`` is the checkout that has it."""
    if root == ROOT:
        return run_module("flask", arguments, variables, root, stdin)
    command = [sys.executable, "-m", "flask", *arguments]
    return subprocess.run(command, cwd=root, env=variables, input=stdin, capture_output=True, text=True, timeout=60)
