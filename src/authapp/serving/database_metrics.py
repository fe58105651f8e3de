"""The metrics that are read from the database when somebody asks for them."""

from collections.abc import Callable
from typing import Any

from prometheus_client.metrics_core import Metric

from authapp.serving.background import extension_of


def reader(application: Any) -> Callable[[], list[Metric]]:
    """Return what reads those of a WSGI application: none if it is no Flask application with authapp on it."""
    extension = extension_of(application)
    if extension is None:
        return list
    # At the top, the master would have it, and a worker that imports the application anew would have two.
    from authapp.domain.database_metrics import DatabaseReadings  # noqa: PLC0415

    return DatabaseReadings(extension.services, application.app_context).read
