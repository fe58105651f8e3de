"""Metrics that are read from the database when somebody asks for them."""

from collections.abc import Iterator
from typing import Any

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

EXTENSION = "authapp"
"""The key of ``Flask.extensions``; a test compares it with ``authapp.domain.services``."""


class DatabaseMetrics:
    """Reads them for one WSGI application: none if it is no Flask application with authapp on it."""

    def __init__(self, application: Any) -> None:
        self._application = application

    def __call__(self) -> Iterator[Metric]:
        """Return the metrics; only ``authapp_database_up`` while the database cannot be asked."""
        if EXTENSION not in getattr(self._application, "extensions", {}):
            return
        # At the top, the master would have it, and a worker that imports the application anew would have two.
        from authapp.domain.statistics import read_statistics  # noqa: PLC0415

        with self._application.app_context():
            statistics = read_statistics()
        yield _gauge("authapp_database_up", "Whether the database answers: 1 or 0.", int(statistics is not None))
        if statistics is None:
            return
        yield _gauge("authapp_mail_queue", "Mails that wait to be sent.", statistics.queued_mails)
        yield _gauge(
            "authapp_mail_oldest_seconds", "Age of the mail that waits longest.", statistics.oldest_mail_seconds
        )
        sizes = GaugeMetricFamily("authapp_table_bytes", "Size of a table with its indexes.", labels=["table"])
        rows = GaugeMetricFamily("authapp_table_rows", "Rows of a table, as PostgreSQL estimates.", labels=["table"])
        for table in statistics.tables:
            sizes.add_metric([table.name], table.bytes)
            rows.add_metric([table.name], table.rows)
        yield sizes
        yield rows


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(name, documentation, value=value)
