"""The parts of the metrics that need no server."""

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from prometheus_client.metrics_core import Metric
from sqlalchemy import MetaData, Table, create_engine, delete, text

from authapp import clock, create_app
from authapp.config import Settings, normalised_database_url
from authapp.database.session import db, transaction
from authapp.domain import database_metrics as readings
from authapp.domain.database_metrics import gauge
from authapp.domain.services import Services
from authapp.models import BlocklistedToken, OutgoingMail, User
from authapp.serving import database_metrics, metrics, metrics_port
from authapp.serving.metrics_folder import MetricsFolder
from conftest import dispose
from databases import Databases
from serving.running import environment, printed
from settings import settings


def scraped(application: Any) -> list[Metric]:
    """Return what a scrape reads from the database of an application."""
    return database_metrics.reader(application)()


def test_a_new_worker_gets_the_lowest_slot_that_is_free() -> None:
    server = SimpleNamespace(WORKERS={}, metrics_port=None)
    slots = []
    for pid in range(5):
        worker: Any = SimpleNamespace()
        metrics.pre_fork(server, worker)
        server.WORKERS[pid] = worker
        slots.append(worker.slot)
        if pid == 2:
            del server.WORKERS[1]
    assert slots == [1, 2, 3, 2, 4]


def test_values_whose_files_cannot_be_opened_are_counted_by_nobody(tmp_path: Path) -> None:
    """Otherwise no worker could start, and gunicorn would end the service."""
    program = f"""
        import pathlib, shutil
        from authapp.serving import metrics
        folder = pathlib.Path("{tmp_path}")
        (folder / "histogram_1.db").write_bytes(b"no such file" * 1000)
        metrics.count_in_slot(str(folder), 1)
        from prometheus_client import Counter, Gauge, Histogram
        Counter("one", "")
        Histogram("two", "").observe(1)
        shutil.rmtree(folder)
        Counter("three", "", ["label"]).labels("x").inc()
        Gauge("four", "", ["label"], multiprocess_mode="max").labels("x").inc()
    """
    assert [line.split()[0] for line in printed(program, "stderr").splitlines()] == ["two", "four"]


def test_a_full_disk_ends_no_worker(tmp_path: Path) -> None:
    """To write into a hole of a mapped file for which there is no room is a SIGBUS, and to the next worker as well."""
    program = f"""
        import errno, os, pathlib
        from authapp.serving import metrics

        def full(*_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        reserve, os.posix_fallocate = os.posix_fallocate, full
        metrics.count_in_slot("{tmp_path}", 1)
        from prometheus_client import Counter, Histogram, values
        assert values.ValueClass is values.MutexValue
        Counter("one", "").inc()
        os.posix_fallocate = reserve
        metrics.count_in_slot("{tmp_path}", 1)
        Counter("two", "").inc()
        Histogram("three", "").observe(1)
        for file in pathlib.Path("{tmp_path}").iterdir():
            print(file.name, file.stat().st_blocks * 512 >= 1 << 20)
    """
    files = ["counter_1.db True", "gauge_livesum_1.db True", "histogram_1.db True"]
    assert sorted(printed(program).splitlines()) == files


def test_a_folder_of_somebody_else_is_not_written_to(tmp_path: Path) -> None:
    """With one that links to other files, the workers would overwrite those."""
    folder = tmp_path / "metrics"
    port = SimpleNamespace(folder=MetricsFolder(str(folder), (os.geteuid(), os.getegid())))
    logged: list[str] = []
    server = SimpleNamespace(
        WORKERS={}, metrics_port=port, log=SimpleNamespace(warning=lambda *words: logged.append(words[0]))
    )

    def counts() -> bool:
        worker: Any = SimpleNamespace()
        metrics.pre_fork(server, worker)
        return worker.metrics_port is port

    assert counts()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert "made again" in logged.pop()
    assert counts()
    assert logged == []
    folder.chmod(0o770)
    assert not counts()
    folder.rmdir()
    folder.symlink_to(tmp_path)
    assert not counts()
    folder.unlink()
    folder.mkdir(0o700)
    port.folder = MetricsFolder(str(folder), (os.geteuid() + 1, os.getegid()))
    assert not counts()
    assert len(logged) == 3


def test_a_folder_is_removed_by_the_next_program_when_no_process_of_its_own_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a SIGKILL of a container whose ``/tmp`` outlives it; and not under a worker that goes on."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    program = """
        import os, signal
        from authapp.serving.metrics_folder import MetricsFolder
        folder = MetricsFolder.make((os.geteuid(), os.getegid()))
        print(folder.path, flush=True)
        if worker := os.fork():
            print(worker, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        os.close(1)
        signal.pause()
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    master = subprocess.run(command, env=environment(), stdout=subprocess.PIPE, text=True, check=False)
    path, worker = master.stdout.split()
    make = (
        "import os; from authapp.serving.metrics_folder import MetricsFolder as F; F.make((os.geteuid(), os.getegid()))"
    )
    foreign = tmp_path / "authapp-metrics-link"
    foreign.symlink_to(tmp_path)
    try:
        printed(make)
        assert Path(path).is_dir(), "a worker still counts there"
    finally:
        os.kill(int(worker), signal.SIGKILL)
    deadline = time.monotonic() + 30
    while Path(path).exists():  # the worker may take a moment to end
        assert time.monotonic() < deadline
        printed(make)
    assert foreign.is_symlink()
    assert len(list(tmp_path.glob("authapp-metrics-*"))) == 2, "and that of the last"


def test_while_the_database_is_away_the_metrics_say_so(app: Flask) -> None:
    away = create_app(settings(database_url="postgresql+psycopg2://nobody@127.0.0.1:1/nothing"))
    found = scraped(away)
    assert [(sample.name, sample.value) for each in found for sample in each.samples] == [("authapp_database_up", 0)]
    here = {each.name: each.samples[0].value for each in scraped(app)}
    assert here["authapp_database_up"] == 1
    assert "authapp_table_rows" in here


def test_an_application_that_is_not_authapp_has_none() -> None:
    assert scraped(lambda _environ, _start: []) == scraped(Flask("other")) == []


def test_the_default_address_is_that_of_the_application() -> None:
    assert Settings.__dataclass_fields__["metrics_bind"].default == metrics_port.DEFAULT_BIND


def test_a_table_that_is_locked_takes_no_other_reading_with_it(databases: Databases) -> None:
    with databases.migrated() as url:
        app = create_app(settings(database_url=url))
        with create_engine(normalised_database_url(url)).connect() as other:
            other.execute(text("LOCK TABLE users IN ACCESS EXCLUSIVE MODE"))
            read = {each.name: each.samples for each in scraped(app)}
        dispose(app)
    assert read["authapp_database_up"][0].value == 1
    assert read["authapp_mail_queue"][0].value == 0
    assert "authapp_table_rows" not in read


def test_mails_are_overdue_when_nothing_sends_them_and_not_when_the_server_refuses_one_for_now(app: Flask) -> None:
    now = clock.now()

    def overdue(*, attempts: int, is_claimed: bool, due_for: int) -> int:
        with app.app_context(), transaction() as session:
            session.execute(delete(OutgoingMail))
            for more in (0, 30):  # one more, whose turn is later
                mail = {"kind": "reset_password", "context": {}, "created_at": now - timedelta(hours=1)}
                claim = {"claimed_until": now if is_claimed else None, "attempts": attempts}
                session.add(
                    OutgoingMail(**mail, **claim, next_attempt_at=now - timedelta(seconds=due_for - more), id=uuid4())
                )
        read = {each.name: each.samples[0].value for each in scraped(app)}
        assert read["authapp_mail_queue"] == 2
        return round(read["authapp_mail_overdue_seconds"], -2)

    assert overdue(attempts=3, is_claimed=False, due_for=-900) == 0, "it is tried again later"
    assert overdue(attempts=3, is_claimed=False, due_for=900) == 900
    assert overdue(attempts=3, is_claimed=True, due_for=900) == 900
    # Where the server refuses the sender, it stops at each mail in turn, which is deferred and counts no attempt.
    assert overdue(attempts=0, is_claimed=False, due_for=-20) == 3600
    assert overdue(attempts=1, is_claimed=True, due_for=10) == 3600


@pytest.mark.verified
def test_the_mail_whose_turn_is_next_is_found_by_an_index(app: Flask) -> None:
    with app.app_context(), transaction():
        db.session.execute(text("SET LOCAL enable_seqscan = off"))
        plan = db.session.scalars(text("EXPLAIN SELECT * FROM outgoing_mail ORDER BY next_attempt_at LIMIT 1")).all()
    assert "Index Scan using ix_outgoing_mail_next_attempt_at" in plan[1]


def test_mails_that_any_process_has_given_up_lately_are_counted(databases: Databases) -> None:
    """``flask mail deliver --watch`` has no counters, and the alert must hear of it."""
    with databases.migrated() as url:
        app = create_app(settings(database_url=url))
        with create_engine(normalised_database_url(url)).begin() as other:
            for age in range(4):
                values = {"age": 30 * age, "id": uuid4()}
                other.execute(
                    text(
                        "INSERT INTO audit_events (occurred_at, id, type, details)"
                        " VALUES (now() - make_interval(mins => :age), :id, 'mail.failed', '{}')"
                    ),
                    values,
                )
        read = {each.name: each.samples for each in scraped(app)}
        dispose(app)
    assert read["authapp_mail_given_up"][0].value == 2


def test_while_the_program_is_upgraded_the_old_one_answers() -> None:
    """Counters that are dealt out between two programs go up and down, which Prometheus takes for restarts."""
    program = """
        import functools, os, socket, subprocess
        from types import SimpleNamespace
        import gevent
        from authapp.serving import metrics_port
        from authapp.serving.scrapes import ScrapeServer
        from authapp.serving.fair_scheduler import FairScheduler

        def answers():
            try:
                socket.create_connection(address, timeout=5).close()
            except ConnectionRefusedError:
                return False
            return True

        old = subprocess.Popen(["sleep", "20"], stdout=-3, stderr=-3)
        os.environ |= {"AUTHAPP_METRICS": "on", "AUTHAPP_METRICS_BIND": "127.0.0.1:0", "GUNICORN_PID": str(old.pid)}
        server = SimpleNamespace(log=SimpleNamespace(info=print), cfg=SimpleNamespace(uid=-1, gid=-1, address=[]))
        metrics_port.on_starting(server)
        address = server.metrics_port.listener.getsockname()
        metrics_port.TAKEOVER_SECONDS = 0.05
        server.metrics_port.serve(functools.partial(ScrapeServer, metrics=list, scheduler=FairScheduler()))
        gevent.sleep(0.3)
        print("while it runs:", answers())
        old.kill()
        old.wait()
        gevent.sleep(0.3)
        print("afterwards:", answers())
        metrics_port.on_exit(server)
    """
    assert printed(program).splitlines()[-2:] == ["while it runs: False", "afterwards: True"]


def a_server(*addresses: Any) -> Any:
    """Return what the hook reads of gunicorn's arbiter, whose API has these addresses."""
    return SimpleNamespace(cfg=SimpleNamespace(uid=os.geteuid(), gid=os.getegid(), address=list(addresses)))


def test_a_port_that_is_taken_while_the_program_is_upgraded_is_logged() -> None:
    program = """
        import errno, logging, os
        from types import SimpleNamespace
        import gevent
        from authapp.serving.metrics_port import MetricsPort

        def listen():
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))

        logging.basicConfig()
        MetricsPort(SimpleNamespace(listen=listen), None).serve(print)
        gevent.sleep(0.1)
    """
    (logged,) = printed(program, "stderr").splitlines()
    assert logged.endswith("no scrape is answered, because nothing can listen at the port: Address already in use")


def by_table(app: Flask, name: str) -> dict[str, float]:
    """Return the values of a gauge by table."""
    (metric,) = (each for each in scraped(app) if each.name == name)
    return {sample.labels["table"]: sample.value for sample in metric.samples}


@pytest.mark.verified
def test_what_is_not_pruned_is_overdue(app: Flask, user: User) -> None:
    name = "authapp_prune_overdue_seconds"
    pruned = {each.model.__tablename__ for each in Services.of(app).pruning.prunables()}
    before = by_table(app, name)
    assert (set(before), max(before.values()) < 60) == (pruned, True)
    now = clock.now()
    with app.app_context(), transaction() as session:
        for hours in (-1, 1, 2):
            key = {"user_id": user.id, "jti": uuid4(), "token_type": "access"}
            session.add(BlocklistedToken(**key, revoked_at=now, expires_at=now - timedelta(hours=hours)))
        session.execute(
            text("UPDATE users SET prune_checked_at = :day, updated_at = :day"), {"day": now - timedelta(days=40)}
        )
    hours_of = {table: round(seconds / 3600) for table, seconds in by_table(app, name).items()}
    assert hours_of == dict.fromkeys(pruned, 0) | {"token_blocklist": 2, "users": 240}
    with app.app_context():
        Services.of(app).pruning.prune()
    assert max(by_table(app, name).values()) < 60


@pytest.mark.verified
def test_the_oldest_row_of_a_table_is_found_by_its_index(app: Flask) -> None:
    """Otherwise a scrape takes the longer, the more rows there are."""
    with app.app_context(), transaction():
        db.session.execute(text("SET LOCAL enable_seqscan = off"))
        for prunable in Services.of(app).pruning.prunables():
            oldest = prunable.oldest(clock.now()).compile(db.engine, compile_kwargs={"literal_binds": True})
            plan = "\n".join(db.session.scalars(text(f"EXPLAIN {oldest}".replace("%%", "%"))))
            table = prunable.model.__tablename__
            if table != "foreign_hash_marks":  # which has one row at most
                assert re.search(rf"Index (Only )?Scan using ix_{table}_\w+ on {table}", plan), plan
                assert "Sort" not in plan, plan


def test_a_project_adds_readings_of_its_own_and_one_that_fails_is_missing_alone(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_services: Services) -> list[Metric]:
        raise ValueError(f"{6 * 7} secrets")

    readings.database_metrics.register("broken", fail)
    readings.database_metrics.register("notes", lambda _: [gauge("notes_rows", "Notes.", 7)])
    try:
        read = {each.name: each.samples for each in scraped(app)}
    finally:
        for name in ("broken", "notes"):
            readings.database_metrics.unregister(name)
    assert (read["notes_rows"][0].value, read["authapp_database_up"][0].value) == (7, 1)
    assert "a reading of metrics failed: ValueError" in caplog.text
    assert "42 secrets" not in caplog.text


def test_tables_of_one_name_in_two_schemas_are_two(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = MetaData()
    for schema in (None, "pg_catalog"):
        Table("pg_class", declared, schema=schema)
    monkeypatch.setattr(readings, "db", SimpleNamespace(metadata=declared, session=db.session))
    assert set(by_table(app, "authapp_table_bytes")) == {"pg_class", "pg_catalog.pg_class"}


def test_a_port_that_another_service_has_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as other:
        bind = f"127.0.0.1:{other.getsockname()[1]}"
        monkeypatch.setenv("AUTHAPP_METRICS", "on")
        monkeypatch.setenv("AUTHAPP_METRICS_BIND", bind)
        with pytest.raises(SystemExit, match=f"AUTHAPP_METRICS_BIND={bind}: Address already in use"):
            metrics_port.on_starting(a_server())


@pytest.mark.parametrize("api", ["127.0.0.1", "0.0.0.0", "::"])
def test_a_port_that_the_api_has_stops_the_start(monkeypatch: pytest.MonkeyPatch, api: str) -> None:
    monkeypatch.setenv("AUTHAPP_METRICS", "on")
    monkeypatch.setenv("AUTHAPP_METRICS_BIND", "127.0.0.1:8000")
    with pytest.raises(SystemExit, match="is the address of the API"):
        metrics_port.on_starting(a_server("unix:/run/a", (api, 8000)))
