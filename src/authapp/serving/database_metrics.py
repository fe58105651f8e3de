"""Metrics that are read from the database when somebody asks for them."""

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from authapp.serving.background import extension_of

ALL_READINGS_SECONDS = 3.0
"""How long the database may take for all readings: the counters of the workers are worth more than these."""


class DatabaseMetrics:
    """Reads them for one WSGI application: none if it is no Flask application with authapp on it."""

    def __init__(self, application: Any) -> None:
        self._application = application

    def __call__(self) -> Iterator[Metric]:
        """Return the metrics that could be read. While the database is away, that is ``authapp_database_up`` alone."""
        extension = extension_of(self._application)
        if extension is None:
            return
        # At the top, the master would have it, and a worker that imports the application anew would have two.
        from authapp.database import deadline  # noqa: PLC0415
        from authapp.domain import database_metrics  # noqa: PLC0415

        with self._application.app_context(), deadline.within(ALL_READINGS_SECONDS):
            is_up = database_metrics.read(database_metrics.is_answering)
            mails = database_metrics.read(database_metrics.waiting_mails) if is_up else None
            tables = database_metrics.read(database_metrics.table_sizes) if is_up else None
            overdue = database_metrics.read(extension.services.pruning.overdue_seconds) if is_up else None
        yield _gauge("authapp_database_up", "Whether the database answers: 1 or 0.", int(bool(is_up)))
        if mails is not None:
            yield _gauge("authapp_mail_queue", "Mails that wait to be sent, at most 10,000.", mails.count)
            yield _gauge(
                "authapp_mail_oldest_seconds",
                "Age of the mail that waits longest, of those looked at.",
                mails.oldest_seconds,
            )
        if overdue is not None:
            yield _gauge_by_table(
                "authapp_prune_overdue_seconds", "How long the oldest row of a table could have been pruned.", overdue
            )
        if tables is not None:
            sizes = {table.name: table.bytes for table in tables}
            yield _gauge_by_table("authapp_table_bytes", "Size of a table with its indexes.", sizes)
            rows = {table.name: table.rows for table in tables}
            yield _gauge_by_table("authapp_table_rows", "Rows of a table, as PostgreSQL estimates.", rows)


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(name, documentation, value=value)


def _gauge_by_table(name: str, documentation: str, values: Mapping[str, float]) -> Metric:
    gauge = GaugeMetricFamily(name, documentation, labels=["table"])
    for table, value in values.items():
        gauge.add_metric([table], value)
    return gauge
