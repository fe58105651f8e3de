"""The tasks of an application that a worker runs beside its requests."""

from collections.abc import Callable
from types import SimpleNamespace

import gevent

from authapp.domain import services
from authapp.serving import background


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
    gevent.sleep(0.05)
    assert seen.count(True) >= 2
    is_running = False
    gevent.sleep(0.1)
    assert seen.count(False) == 2


def test_another_application_has_none() -> None:
    background.start(lambda _environ, _start_response: [], lambda: True)
    background.start(SimpleNamespace(extensions={}), lambda: True)


def test_the_extension_is_found_under_its_name() -> None:
    assert background.EXTENSION == services.EXTENSION
