"""Standbys in trouble: a primary that falls silent instead of dying, and a synchronous standby that is away."""

import signal
import time
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url
from tools.embedded_postgres import _command

from e2e.clients import clients
from e2e.processes import environment, flask
from e2e.test_failover import is_synchronous, primary, standby  # noqa: F401
from e2e.trouble import (
    LONGEST,
    RECOVERY,
    Postgres,
    Tokens,
    in_service,
    judge_health,
    judge_logouts,
    recovered,
    run,
    wait,
)

MAX_CONNECTIONS = 60
GONE = "a_standby_that_is_not_there"


def test_a_primary_that_falls_silent_is_passed_over_for_the_new_one(
    primary: Postgres,  # noqa: F811
    standby: Postgres,  # noqa: F811
    tmp_path: Path,
) -> None:
    while not is_synchronous(primary):
        wait(0.1)
    url = primary.databases.migrated().__enter__()
    tokens = Tokens(url)
    hosts = f"{Path(primary.socket).parent},{Path(standby.socket).parent}"
    both = make_url(url).set(query={"host": hosts}).render_as_string(hide_password=False)
    try:
        with in_service(tmp_path, both) as server:
            with clients(server.port, tokens.plans()) as load:
                wait(1)
                # It takes connections, for the kernel does, and says nothing: a frozen machine, a network split.
                primary.send(signal.SIGSTOP)
                wait(1)
                run(*_command("pg_ctl", "promote", "-D", str(standby.data), "-w"))
                promoted = time.monotonic()
                # Whoever asks the silent one at that moment waits for it to the end, and asks again after that.
                wait(RECOVERY + LONGEST + 1)
            assert {answer.status for answer in load.named("good")} <= {200, 503}
            assert {answer.status for answer in load.named("revoked")} <= {401, 503}
            later = [answer for answer in load.named("good") if answer.sent_at > promoted + RECOVERY]
            assert later
            assert {answer.status for answer in later} == {200}
            judge_health(load)
    finally:
        primary.send(signal.SIGCONT)


def test_nobody_is_let_in_by_a_standby(primary: Postgres, standby: Postgres) -> None:  # noqa: F811
    while not is_synchronous(primary):
        wait(0.1)
    url = make_url(primary.databases.migrated().__enter__()).set(query={"host": str(Path(standby.socket).parent)})
    refused = flask(environment(url.render_as_string(hide_password=False)), "users", "list")
    assert (refused.returncode, refused.stdout) == (1, "")


@pytest.fixture
def lonely(tmp_path: Path) -> Postgres:
    server = Postgres(tmp_path / "lonely", (f"max_connections={MAX_CONNECTIONS}",))
    server.start()
    return server


def test_while_the_synchronous_standby_is_away_reads_go_on_and_connections_stay_few(
    lonely: Postgres, tmp_path: Path
) -> None:
    try:
        # Under a name that the operator gave: authapp ends its orphaned backends under this one, too.
        url = lonely.databases.migrated().__enter__() + "&application_name=auth-eu-1"
        tokens = Tokens(url, spare=1000)
        plans = [plan | ({"clients": 20, "pause": 0.2} if plan["name"] == "logout" else {}) for plan in tokens.plans()]
        with in_service(tmp_path, url) as server:
            with clients(server.port, plans) as load:
                wait(1)
                lonely.execute("postgres", f"ALTER SYSTEM SET synchronous_standby_names = '{GONE}'")
                lonely.execute("postgres", "SELECT pg_reload_conf()")
                away = time.monotonic()
                wait(12)
                # An operator still gets in, which is how this is ended.
                lonely.execute("postgres", "ALTER SYSTEM RESET synchronous_standby_names")
                lonely.execute("postgres", "SELECT pg_reload_conf()")
                back = time.monotonic()
                recovered()
            assert {answer.status for answer in load.named("good")} == {200}
            assert {answer.status for answer in load.named("revoked")} == {401}
            logouts = [answer for answer in load.answers if answer.name.startswith("logout:")]
            assert {answer.status for answer in logouts} == {204, 503}
            assert all(answer.status == 503 for answer in logouts if away + 0.5 < answer.sent_at < back - 2.5)
            assert all(answer.status == 204 for answer in logouts if answer.sent_at > back + RECOVERY)
            assert judge_logouts(server, load) > 10
            judge_health(load)
    finally:
        lonely.stop()
