"""Tasks of the application that run beside its requests, in a greenlet each."""

import logging
import traceback
from collections.abc import Callable
from typing import Any

import gevent

from authapp.shared_names import EXTENSION

PAUSE = 5.0
"""Seconds after which a task that raised is started again."""

logger = logging.getLogger("gunicorn.error")


def start(application: Any, running: Callable[[], bool]) -> None:
    """Start the background tasks of a WSGI application, if it is a Flask application with authapp on it.

    Each is called with ``running``, and returns soon after that has become false. Nobody waits for it: a worker that
    stops ends it wherever it is. One that raises is logged, and started again after ``PAUSE``.
    """
    if not hasattr(application, "extensions"):
        logger.warning("The application is not a Flask object, so no background task runs: wrap app.wsgi_app instead.")
    for task in getattr(extension_of(application), "background", ()):
        gevent.spawn(_run, task, running)


def extension_of(application: Any) -> Any:
    """Return the ``AuthApp`` of a WSGI application, or ``None`` if it is not a Flask application with one."""
    return getattr(application, "extensions", {}).get(EXTENSION)


def _run(task: Callable[[Callable[[], bool]], None], running: Callable[[], bool]) -> None:
    while running():
        try:
            task(running)
        except Exception as error:  # noqa: BLE001 - whatever it is, the task has work to do
            # Not the message, which may quote a secret.
            place = "".join(traceback.format_tb(error.__traceback__))
            logger.error("A background task failed: %s, at\n%s", type(error).__name__, place)  # noqa: TRY400
            gevent.sleep(PAUSE)
        else:
            return
