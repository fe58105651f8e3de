"""A primary and a synchronous standby: the primary dies, the standby is promoted, no acknowledged logout is lost."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url
from tools.embedded_postgres import BINARIES, _command

from e2e.clients import clients
from e2e.trouble import Postgres, Tokens, in_service, judge, judge_logouts, recovered, run, wait

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


@contextmanager
def without_waiting(primary: Postgres, url: str) -> Iterator[None]:
    """Let what the block writes wait for no disk and no standby: it is what the test starts from."""
    database = url.rpartition("/")[2].partition("?")[0]
    primary.execute("postgres", f'ALTER DATABASE "{database}" SET synchronous_commit = off')
    yield
    primary.execute("postgres", f'ALTER DATABASE "{database}" RESET synchronous_commit')


def test_no_acknowledged_logout_is_lost_in_a_failover(primary: Postgres, standby: Postgres, tmp_path: Path) -> None:
    deadline = time.monotonic() + 20
    while not is_synchronous(primary):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    # It is never given back: its server dies.
    url = primary.databases.migrated().__enter__()
    with without_waiting(primary, url):
        tokens = Tokens(url, spare=1000)
    # libpq asks the hosts in turn, and takes the one that can be written to.
    hosts = f"{Path(primary.socket).parent},{Path(standby.socket).parent}"
    both = make_url(url).set(query={"host": hosts, "target_session_attrs": "read-write"})
    with in_service(tmp_path, both.render_as_string(hide_password=False)) as server:
        with clients(server.port, tokens.plans()) as load:
            wait(1.5)
            # The standby falls behind, as one at the end of a bad line does, and then the primary is gone for good.
            # What is still under way between the two, in the memory of the machine, is lost with the line.
            standby.send(signal.SIGSTOP)
            wait(0.7)
            killed = time.monotonic()
            primary.kill()
            standby.kill()
            standby.start()
            run(*_command("pg_ctl", "promote", "-D", str(standby.data), "-w"))
            promoted = time.monotonic()
            recovered()
        logouts = [answer for answer in load.named("logout") if answer.status == 204]
        assert sum(answer.sent_at < killed for answer in logouts) > 5
        assert any(answer.sent_at > promoted for answer in logouts)
        judge_logouts(server, load)
        judge(load, promoted)
