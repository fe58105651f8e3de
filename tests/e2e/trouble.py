"""A PostgreSQL that a test may do anything to, and what is required of the service meanwhile."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg2
from sqlalchemy.engine import make_url
from tools.embedded_postgres import EmbeddedPostgres

from authapp import create_app
from authapp.domain import UseCases
from conftest import dispose
from databases import Databases
from e2e.clients import Answer, Load
from e2e.processes import Server, environment, serving
from factories import a_session, a_user
from settings import settings

LONGEST, LIVE_P99, RECOVERY = 3.0, 0.5, 2.0
"""In seconds: an answer, ``/health/live``, and until all is well again."""

PING, LIVE, LOGOUT = "/api/v1/ping", "/health/live", "/api/v1/auth/logout"


class Postgres(EmbeddedPostgres):
    """An embedded PostgreSQL, durable, whose processes take signals."""

    @property
    def databases(self) -> Databases:
        """Makes databases on it."""
        return Databases(make_url(self.url("postgres")))

    def send(self, number: int) -> None:
        """Send a signal to every process of the server."""
        assert self._process is not None
        postmaster = psutil.Process(self._process.pid)
        # The postmaster first: it would start others in the place of those that go.
        for process in [postmaster, *postmaster.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def kill(self) -> None:
        """Take the server away, as a power failure does."""
        self.send(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(30)

    def execute(self, database: str, statement: str) -> Any:
        """Run a statement as the superuser; return its rows, if any."""
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else None
        finally:
            connection.close()

    def connect(self, database: str) -> Any:
        """Return a connection in autocommit."""
        connection = psycopg2.connect(self.url(database).replace("+psycopg2", ""))
        connection.autocommit = True
        return connection


class Tokens:
    """A user's tokens: a good one, one that was revoked, and a number that wait to be logged out."""

    def __init__(self, url: str, spare: int = 0) -> None:
        app = create_app(settings(database_url=url))
        user = a_user(app)
        self.good, self.revoked = (a_session(app, user).access_token for _ in range(2))
        with app.app_context():
            sessions = UseCases.of(app).sessions
            sessions.log_out(UseCases.of(app).tokens.read(self.revoked))
        self.spare = [a_session(app, user).access_token for _ in range(spare)]
        dispose(app)

    def plans(self, clients: int = 8) -> list[dict[str, Any]]:
        """Return what clients do: most with the good token, some with the revoked one, and a health check."""
        plans: list[dict[str, Any]] = [
            {"name": "good", "path": PING, "token": self.good, "clients": clients},
            {"name": "revoked", "path": PING, "token": self.revoked, "clients": 2},
            {"name": "live", "path": LIVE, "clients": 2},
        ]
        if self.spare:
            plans.append({"name": "logout", "path": LOGOUT, "method": "POST", "tokens": self.spare, "clients": 4})
        return plans


@contextmanager
def in_service(folder: Path, url: str, **changes: str) -> Iterator[Server]:
    """Lend a server on the database at ``url``."""
    with serving(folder, environment(url, **changes)) as server:
        yield server


def judge(load: Load, well_again: float | None = None) -> None:
    """Check what is required in every trouble; ``well_again`` is when the database was back."""
    assert {answer.status for answer in load.named("good")} <= {200, 503}
    assert {answer.status for answer in load.named("revoked")} <= {401, 503}
    refused = [answer for answer in load.answers if answer.status == 503]
    assert all(answer.retry_after for answer in refused)
    slowest = max(load.answers, key=lambda answer: answer.seconds)
    assert slowest.seconds <= LONGEST, slowest
    judge_health(load)
    if well_again is not None:
        later = [answer for answer in load.named("good") if answer.moment >= well_again + RECOVERY]
        assert later
        assert {answer.status for answer in later} == {200}


def judge_health(load: Load) -> None:
    """Check that the process was seen to live throughout."""
    live = load.named("live")
    assert {answer.status for answer in live} == {200}
    times = sorted(answer.seconds for answer in live)
    assert times[int(len(times) * 0.99)] < LIVE_P99, times[-5:]


def judge_logouts(server: Server, load: Load) -> int:
    """Check that every logout that was acknowledged holds; return how many were."""
    acknowledged = [answer.name.partition(":")[2] for answer in load.answers if answer.status == 204]
    for token in acknowledged:
        assert server.call("GET", PING, token).status_code == 401
    return len(acknowledged)


def troubled(load: Load) -> list[Answer]:
    """Return the answers that told of trouble: without any, a test has shown nothing."""
    return [answer for answer in load.answers if answer.status == 503]


def run(*command: str | Path) -> None:
    """Run a command of PostgreSQL's."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def wait(seconds: float) -> None:
    """Let the trouble last."""
    time.sleep(seconds)
