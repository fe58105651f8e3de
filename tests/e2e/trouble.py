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
from authapp.domain.services import Services
from authapp.domain.sessions.sessions import LogoutScope
from conftest import dispose
from databases import Databases
from e2e.clients import Answer, Load
from e2e.processes import Server, environment, serving
from factories import GUEST, a_session, a_user
from settings import settings

LONGEST, LIVE_P99, RECOVERY = 3.0, 0.5, 2.0
"""In seconds: an answer, ``/health/live``, and until all is well again."""

PING, LIVE = "/api/v1/ping", "/health/live"
LOGOUT, REFRESH = "/api/v1/auth/logout", "/api/v1/auth/refresh"


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
    """A user's tokens: a good one, one that was revoked, some to log out with, and some to refresh with."""

    def __init__(self, url: str, spare: int = 0, to_refresh: int = 0) -> None:
        app = create_app(settings(database_url=url))
        user = a_user(app)
        self.good, self.revoked = (a_session(app, user).access_token for _ in range(2))
        with app.app_context():
            sessions = Services.of(app).sessions
            sessions.log_out(Services.of(app).tokens.read(self.revoked), LogoutScope.LOCAL, GUEST)
        self.spare = [a_session(app, user).access_token for _ in range(spare)]
        self.to_refresh = [a_session(app, user).refresh_token for _ in range(to_refresh)]
        dispose(app)

    def plans(self, clients: int = 8) -> list[dict[str, Any]]:
        """Return what clients do: most with the good token, some with the revoked one, and a health check."""
        plans: list[dict[str, Any]] = [
            {"name": "good", "path": PING, "token": self.good, "clients": clients},
            {"name": "revoked", "path": PING, "token": self.revoked, "clients": 2},
            {"name": "live", "path": LIVE, "clients": 2},
        ]
        if self.spare:
            plans.append(self.logouts(clients=4, pause=0.05))
        if self.to_refresh:
            number = len(self.to_refresh)
            refresh = {"name": "refresh", "path": REFRESH, "method": "POST", "refresh_tokens": self.to_refresh}
            plans.append(refresh | {"clients": number, "pause": 0.05})
        return plans

    def logouts(self, clients: int, pause: float) -> dict[str, Any]:
        """Return what clients do who log out with each of the spare tokens, once."""
        plan = {"name": "logout", "path": LOGOUT, "method": "POST", "tokens": self.spare}
        return plan | {"clients": clients, "pause": pause}


@contextmanager
def in_service(folder: Path, url: str, **changes: str) -> Iterator[Server]:
    """Lend a server on the database at ``url``."""
    with serving(folder, environment(url, **changes)) as server:
        yield server


def judge(load: Load, well_again: float | None = None, reloads: int = 0) -> None:
    """Check what is required in every trouble; ``well_again`` is when the database was back.

    While new workers boot, nobody takes new connections: each client may have waited once for each of the ``reloads``.
    """
    judge_answers(load)
    slowest = sorted(load.answers, key=lambda answer: answer.seconds)[-1 - reloads * load.clients()]
    assert slowest.seconds <= LONGEST, slowest
    judge_health(load, reloads)
    if well_again is not None:
        for name, status in (("good", 200), ("revoked", 401)):
            later = {answer.status for answer in load.named(name) if answer.sent_at >= well_again + RECOVERY}
            assert later == {status}, name


def judge_answers(load: Load) -> None:
    """Check that everybody was answered as they should be, however long it took."""
    answered(load, "good", 200)
    answered(load, "revoked", 401)
    # Each token is used once, and nobody asks again: a 401 would say that a logout was refused.
    answered(load, "logout", 204)
    answered(load, "refresh", 200)
    assert {answer.status for answer in load.named("live")} == {200}
    assert all(answer.retry_after for answer in troubled(load))


def answered(load: Load, name: str, status: int) -> None:
    """Check that all who ask under that name were answered so, or refused for a while."""
    others = [answer for answer in load.named(name) if answer.status not in {status, 503}]
    assert not others, others[:5]


def judge_health(load: Load, reloads: int = 0) -> None:
    """Check that the process was seen to live throughout."""
    live = load.named("live")
    assert {answer.status for answer in live} == {200}
    times = sorted(answer.seconds for answer in live)[: len(live) - reloads * load.clients("live")]
    assert times[int(len(times) * 0.99)] < LIVE_P99, times[-5:]


def judge_logouts(server: Server, load: Load) -> int:
    """Check that every logout that was acknowledged holds; return how many were."""
    acknowledged = [answer.name.partition(":")[2] for answer in load.named("logout") if answer.status == 204]
    for token in acknowledged:
        assert server.call("GET", PING, token).status_code == 401
    return len(acknowledged)


def troubled(load: Load) -> list[Answer]:
    """Return the answers that told of trouble: without any, a test has shown nothing."""
    return [answer for answer in load.answers if answer.status == 503]


def recovered() -> None:
    """Let the time for the recovery pass, and some more in which all has to be well."""
    wait(RECOVERY + 0.7)


def run(*command: str | Path) -> None:
    """Run a command of PostgreSQL's."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def wait(seconds: float) -> None:
    """Let the trouble last."""
    time.sleep(seconds)
