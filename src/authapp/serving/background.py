"""Tasks of the application that run beside its requests, in a greenlet each."""

from collections.abc import Callable
from typing import Any

import gevent

EXTENSION = "authapp"
"""The key of ``Flask.extensions``; a test compares it with ``authapp.domain.services``."""


def start(application: Any, running: Callable[[], bool]) -> None:
    """Start the background tasks of a WSGI application, if it is a Flask application with authapp on it.

    Each is called with ``running``, and returns soon after that has become false. Nobody waits for it: a worker that
    stops ends it wherever it is.
    """
    extension = getattr(application, "extensions", {}).get(EXTENSION)
    for task in getattr(extension, "background", ()):
        gevent.spawn(task, running)
