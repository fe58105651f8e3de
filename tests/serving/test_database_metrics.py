"""The limits of what a scrape reads from the database: on time, on rows, and on readings at once."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from prometheus_client.metrics_core import Metric
from sqlalchemy import text

from authapp import clock
from authapp.database.session import db, transaction
from authapp.domain import database_metrics as readings
from authapp.domain.audit import EventType
from authapp.domain.database_metrics import DatabaseReadings, gauge
from authapp.domain.services import Services
from authapp.domain.timed_runs import TimedRuns
from authapp.models import AuditEvent, OutgoingMail
from authapp.serving import database_metrics


def names(read: list[Metric]) -> set[str]:
    return {each.name for each in read}


@contextmanager
def registered(**added: Callable[[Services], list[Metric]]) -> Iterator[None]:
    """Register readings for the time of a test, after authapp's own."""
    for name, reading in added.items():
        readings.database_metrics.register(name, reading)
    try:
        yield
    finally:
        for name in added:
            readings.database_metrics.unregister(name)


def set_limits(monkeypatch: pytest.MonkeyPatch, **limits: float) -> None:
    for name, value in limits.items():
        monkeypatch.setattr(readings, name, value)


def sleeping(_services: Services) -> list[Metric]:
    # Less than PostgreSQL gives any statement: without the limits of readings it would end.
    db.session.execute(text("SELECT pg_sleep(1.6)"))
    return [gauge("sleeping", "Has slept.", 1)]


def test_a_reading_that_hangs_is_given_up_and_not_called_again_until_it_ends(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    released, calls, threads = threading.Event(), [], set(threading.enumerate())

    def hanging(_services: Services) -> list[Metric]:
        calls.append(threading.current_thread())
        released.wait(30)
        return [gauge("hanging", "Has ended.", 1)]

    read = database_metrics.reader(app)
    with registered(hanging=hanging, later=lambda _: [gauge("later", "Comes after it.", 1)]):
        try:
            set_limits(monkeypatch, READING_SECONDS=0.5)
            for _ in range(3):
                found = names(read())
                assert {"authapp_database_up", "later"} <= found
                assert "hanging" not in found
            assert set(threading.enumerate()) - threads == {calls[0]}
            assert "the metrics of hanging cannot be read: no answer in 0.5 s" in caplog.text
        finally:
            released.set()
        calls[0].join(30)
        assert len(calls) == 1
        assert "hanging" in names(read())


@pytest.mark.committed  # the connection is closed when the time is over
def test_a_statement_takes_no_longer_than_its_reading_may(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    set_limits(monkeypatch, READING_SECONDS=1.0, ALL_READINGS_SECONDS=30.0)
    with registered(sleeping=sleeping, later=lambda _: [gauge("later", "Comes after it.", 1)]):
        found = names(database_metrics.reader(app)())
    assert {"authapp_database_up", "later"} <= found
    assert "sleeping" not in found


@pytest.mark.committed  # the connection is closed when the time is over
def test_all_readings_take_no_longer_than_they_may(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    set_limits(monkeypatch, READING_SECONDS=30.0, ALL_READINGS_SECONDS=1.0, GRACE_SECONDS=30.0)
    with registered(sleeping=sleeping):
        found = names(database_metrics.reader(app)())
    assert "authapp_database_up" in found
    assert "sleeping" not in found


def test_a_scrape_has_the_counters_when_the_readings_do_not_end(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    released = threading.Event()
    monkeypatch.setattr(DatabaseReadings, "_read_all", lambda _: released.wait(30))
    set_limits(monkeypatch, ALL_READINGS_SECONDS=0.1, GRACE_SECONDS=0.1)
    try:
        assert database_metrics.reader(app)() == []
        assert "no metrics are read from the database: no answer in 0.2 s" in caplog.text
    finally:
        released.set()


def test_scrapes_at_once_share_what_is_read(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise they would take the connections of requests when the database is slow."""
    released, asked, calls = threading.Event(), threading.Semaphore(0), []
    join_or_start = TimedRuns.join_or_start

    def joined(self: Any, name: str, *rest: Any) -> Any:
        run = join_or_start(self, name, *rest)
        if name in {"all", "slow"}:
            asked.release()
        return run

    def counted(_services: Services) -> list[Metric]:
        calls.append("counted")
        return []

    def slow(_services: Services) -> list[Metric]:
        calls.append("slow")
        released.wait(30)
        return [gauge("slow", "Was waited for.", 1)]

    monkeypatch.setattr(TimedRuns, "join_or_start", joined)
    set_limits(monkeypatch, READING_SECONDS=30.0, ALL_READINGS_SECONDS=30.0)
    read = database_metrics.reader(app)
    with registered(counted=counted, slow=slow), ThreadPoolExecutor(4) as pool:
        try:
            scrapes = [pool.submit(read) for _ in range(4)]
            for _ in range(5):  # each asks for all, and the one that reads for the slow one
                assert asked.acquire(timeout=30)
        finally:
            released.set()
        assert all("slow" in names(scrape.result()) for scrape in scrapes)
    assert calls == ["counted", "slow"]


def test_no_more_mails_are_counted_than_a_scrape_has_time_for(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.now()
    with app.app_context(), transaction() as session:
        for _ in range(3):
            mail = {"id": uuid4(), "kind": "reset_password", "context": {}, "attempts": 0}
            session.add(OutgoingMail(**mail, created_at=now, next_attempt_at=now))
            session.add(AuditEvent(id=uuid4(), occurred_at=now, type=EventType.MAIL_FAILED, details={}))
    set_limits(monkeypatch, MAX_MAILS=2, MAX_GIVEN_UP=2)
    found = {each.name: each.samples[0].value for each in database_metrics.reader(app)()}
    assert (found["authapp_mail_queue"], found["authapp_mail_given_up"]) == (2, 2)
