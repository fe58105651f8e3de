"""The parts of the metrics that need no server."""

import socket
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import create_engine, text

from authapp import create_app
from authapp.config import Settings, normalised_database_url
from authapp.serving import database_metrics, metrics
from conftest import dispose
from databases import Databases
from settings import settings


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


def test_while_the_database_is_away_the_metrics_say_so(app: Flask) -> None:
    away = create_app(settings(database_url="postgresql+psycopg2://nobody@127.0.0.1:1/nothing"))
    read = database_metrics.DatabaseMetrics(away)()
    assert [(sample.name, sample.value) for each in read for sample in each.samples] == [("authapp_database_up", 0)]
    here = {each.name: each.samples[0].value for each in database_metrics.DatabaseMetrics(app)()}
    assert here["authapp_database_up"] == 1
    assert "authapp_table_rows" in here


def test_an_application_that_is_not_authapp_has_none() -> None:
    assert list(database_metrics.DatabaseMetrics(lambda _environ, _start: [])()) == []
    assert list(database_metrics.DatabaseMetrics(Flask("other"))()) == []


def test_the_default_address_is_that_of_the_application() -> None:
    assert Settings.__dataclass_fields__["metrics_bind"].default == metrics.DEFAULT_BIND


def test_a_table_that_is_locked_takes_no_other_reading_with_it(databases: Databases) -> None:
    with databases.migrated() as url:
        app = create_app(settings(database_url=url))
        with create_engine(normalised_database_url(url)).connect() as other:
            other.execute(text("LOCK TABLE users IN ACCESS EXCLUSIVE MODE"))
            read = {each.name: each.samples for each in database_metrics.DatabaseMetrics(app)()}
        dispose(app)
    assert read["authapp_database_up"][0].value == 1
    assert read["authapp_mail_queue"][0].value == 0
    assert read["authapp_table_rows"] == []


def test_a_port_that_another_service_has_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as other:
        bind = f"127.0.0.1:{other.getsockname()[1]}"
        monkeypatch.setenv("AUTHAPP_METRICS", "on")
        monkeypatch.setenv("AUTHAPP_METRICS_BIND", bind)
        with pytest.raises(SystemExit, match=f"AUTHAPP_METRICS_BIND={bind}: Address already in use"):
            metrics.on_starting(SimpleNamespace())
