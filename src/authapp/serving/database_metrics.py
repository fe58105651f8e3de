"""The metrics that are read from the database when somebody asks for them."""

from typing import Any

from prometheus_client.metrics_core import Metric

from authapp.serving.background import extension_of


def read(application: Any) -> list[Metric]:
    """Return those of a WSGI application: none if it is no Flask application with authapp on it."""
    extension = extension_of(application)
    if extension is None:
        return []
    # At the top, the master would have it, and a worker that imports the application anew would have two.
    from authapp.domain.database_metrics import read_all  # noqa: PLC0415

    with application.app_context():
        return list(read_all(extension.services))
