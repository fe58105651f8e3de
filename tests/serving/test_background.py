"""The tasks of an application that a worker runs beside its requests."""

import logging
from collections.abc import Callable
from types import SimpleNamespace

import gevent
import pytest

from authapp.serving import background


def wait_until(condition: Callable[[], bool]) -> None:
    with gevent.Timeout(30):
        while not condition():
            gevent.sleep(0.01)


def test_each_task_runs_and_learns_when_to_stop() -> None:
    seen: list[bool] = []

    def task(running: Callable[[], bool]) -> None:
        while running():
            seen.append(True)
            gevent.sleep(0.01)
        seen.append(False)

    is_running = True
    extension = SimpleNamespace(background=[task, task])
    background.start(SimpleNamespace(extensions={"authapp": extension}), lambda: is_running)
    assert seen == [], "none holds up the start"
    wait_until(lambda: seen.count(True) >= 2)
    is_running = False
    wait_until(lambda: seen.count(False) == 2)


def test_a_task_that_raises_is_logged_without_its_message_and_started_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background, "PAUSE", 0.01)
    runs: list[int] = []

    def task(_running: Callable[[], bool]) -> None:
        runs.append(1)
        if len(runs) < 3:
            raise ValueError("a secret")

    logger = logging.getLogger("gunicorn.error")
    monkeypatch.setattr(logger, "propagate", True)
    background.start(SimpleNamespace(extensions={"authapp": SimpleNamespace(background=[task])}), lambda: True)
    wait_until(lambda: len(runs) == 3)
    assert caplog.text.count("A background task failed: ValueError, at") == 2
    assert "a secret" not in caplog.text.replace('raise ValueError("a secret")', "")


def test_another_application_has_none() -> None:
    background.start(lambda _environ, _start_response: [], lambda: True)
    background.start(SimpleNamespace(extensions={}), lambda: True)
