"""The parts of the metrics that need no server."""

from types import SimpleNamespace
from typing import Any

from flask import Flask

from authapp import create_app
from authapp.config import Settings
from authapp.domain.services import EXTENSION
from authapp.serving import database_metrics, metrics
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
    assert [(each.name, each.samples[0].value) for each in database_metrics.DatabaseMetrics(away)()] == [
        ("authapp_database_up", 0)
    ]
    here = {each.name: each.samples[0].value for each in database_metrics.DatabaseMetrics(app)()}
    assert here["authapp_database_up"] == 1
    assert "authapp_table_rows" in here


def test_an_application_that_is_not_authapp_has_none() -> None:
    assert list(database_metrics.DatabaseMetrics(lambda _environ, _start: [])()) == []
    assert list(database_metrics.DatabaseMetrics(Flask("other"))()) == []


def test_names_and_defaults_are_those_of_the_application() -> None:
    assert database_metrics.EXTENSION == EXTENSION
    assert Settings.__dataclass_fields__["metrics_bind"].default == metrics.DEFAULT_BIND
