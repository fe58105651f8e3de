"""A primary and a synchronous standby: the primary dies, the standby is promoted, no acknowledged logout is lost."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url
from tools.embedded_postgres import BINARIES, _command

from e2e.clients import clients
from e2e.trouble import RECOVERY, Postgres, Tokens, in_service, judge_health, judge_logouts, run, wait

STANDBY = "authapp_standby"


@pytest.fixture
def primary(tmp_path: Path) -> Iterator[Postgres]:
    server = Postgres(tmp_path / "primary", ("wal_level=replica", "max_wal_senders=4"))
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def standby(primary: Postgres, tmp_path: Path) -> Iterator[Postgres]:
    """A copy of the primary, for which each of its commits waits."""
    server = Postgres(tmp_path / "standby")
    server.folder.mkdir()
    source = f"host={Path(primary.socket).parent} user=postgres application_name={STANDBY}"
    run(BINARIES / "pg_basebackup", "-D", server.data, "-d", source, "-R", "-X", "stream", "-c", "fast", "--no-sync")
    give_to_its_owner(server, primary)
    server.start()
    try:
        primary.execute("postgres", f"ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'")
        primary.execute("postgres", "SELECT pg_reload_conf()")
        yield server
    finally:
        server.stop()


def give_to_its_owner(server: Postgres, model: Postgres) -> None:
    owner = model.data.stat()
    for path in [server.data, *server.data.rglob("*")]:
        os.chown(path, owner.st_uid, owner.st_gid)


def is_synchronous(primary: Postgres) -> bool:
    rows = primary.execute("postgres", "SELECT sync_state FROM pg_stat_replication")
    return bool(rows) and rows[0][0] == "sync"


def test_no_acknowledged_logout_is_lost_in_a_failover(primary: Postgres, standby: Postgres, tmp_path: Path) -> None:
    deadline = time.monotonic() + 20
    while not is_synchronous(primary):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    # It is never given back: its server dies.
    url = primary.databases.migrated().__enter__()
    tokens = Tokens(url, spare=2000)
    # libpq asks the hosts in turn, and takes the one that can be written to.
    hosts = f"{Path(primary.socket).parent},{Path(standby.socket).parent}"
    both = make_url(url).set(query={"host": hosts, "target_session_attrs": "read-write"})
    with in_service(tmp_path, both.render_as_string(hide_password=False)) as server:
        with clients(server.port, tokens.plans(), 10) as load:
            wait(2)
            killed = time.monotonic()
            primary.kill()
            wait(0.5)
            run(*_command("pg_ctl", "promote", "-D", str(standby.data), "-w"))
            promoted = time.monotonic()
        logouts = [answer for answer in load.answers if answer.name.startswith("logout:") and answer.status == 204]
        assert sum(answer.moment < killed for answer in logouts) > 20
        assert any(answer.moment > promoted for answer in logouts)
        judge_logouts(server, load)
        assert {answer.status for answer in load.named("good")} <= {200, 503}
        assert {answer.status for answer in load.named("revoked")} <= {401, 503}
        later = [answer for answer in load.named("good") if answer.moment > promoted + RECOVERY]
        assert {answer.status for answer in later} == {200}
        judge_health(load)
