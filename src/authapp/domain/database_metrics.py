"""The registry of metrics that are read from the database when somebody asks for them, and authapp's own."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from functools import partial
from typing import Any

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from authapp import clock
from authapp.database import deadline
from authapp.database.connect import DIALECT
from authapp.database.errors import sqlstate
from authapp.database.reasons import reason
from authapp.database.session import db
from authapp.domain.audit import EventType
from authapp.domain.failures import log_failure
from authapp.domain.services import Services
from authapp.domain.timed_runs import TimedRuns
from authapp.models import AuditEvent, OutgoingMail
from authapp.registry import Registry

logger = logging.getLogger(__name__)

READING_SECONDS = 2.0
"""How long a reading may take."""

ALL_READINGS_SECONDS = 3.0
"""How long all may take, one after the other: the counters of the workers are worth more than these."""

GRACE_SECONDS = 1.0
"""How much longer a scrape waits for what has been read by then, on a host that is busy."""

MAX_MAILS = 10_000
"""How many mails are counted: a scrape must not take longer, the more of them wait."""

MAX_GIVEN_UP = 1_000
GIVEN_UP_WITHIN = timedelta(hours=1)

# The catalog's own estimate of the rows: to count them would take as long as the tables are large.
_TABLES = text("""
    SELECT name, pg_total_relation_size(oid) AS bytes, greatest(reltuples, 0) AS rows
    FROM unnest(:names, :quoted) AS declared (name, quoted) JOIN pg_class ON oid = to_regclass(quoted)
""")

Reading = Callable[[Services], Iterable[Metric]]

database_metrics: Registry[Reading] = Registry("reading of metrics", r"[a-z][a-z_]{0,39}", "use 1 to 40 of a-z and _.")
"""What is read at each scrape, by any name. A reading must not take longer when the tables grow.

Each runs in a thread and an application context of its own, for at most ``READING_SECONDS``. Where it takes longer, or
raises, that is logged, and its metrics are missing; one that hangs is not called again until it has ended.
"""


class DatabaseReadings:
    """Reads what is registered for scrapes: for a limited time, whatever hangs, and once at a time, whoever asks."""

    def __init__(self, services: Services, app_context: Callable[[], AbstractContextManager[Any]]) -> None:
        """Take the function that opens an application context."""
        self._services = services
        self._scrapes: TimedRuns[list[Metric]] = TimedRuns(app_context)
        self._readings: TimedRuns[list[Metric] | None] = TimedRuns(app_context)

    def read(self) -> list[Metric]:
        """Return the metrics that can be read. While the database is away, that is ``authapp_database_up`` alone.

        Whoever asks while they are read gets the same: with a run for each, scrapes would take the connections of
        requests when the database is slow.
        """
        run = self._scrapes.join_or_start("all", self._read_all, ALL_READINGS_SECONDS + GRACE_SECONDS)
        try:
            return run.outcome()
        except TimeoutError as error:
            logger.warning("no metrics are read from the database: %s", error)
            return []

    def _read_all(self) -> list[Metric]:
        with deadline.within(ALL_READINGS_SECONDS):
            is_up = self._read(_DATABASE_UP, _is_answering) is not None
            metrics = [gauge("authapp_database_up", "Whether the database answers: 1 or 0.", int(is_up))]
            for name, reading in database_metrics.items() if is_up else ():
                metrics += self._read(name, reading) or []
            return metrics

    def _read(self, name: str, reading: Reading) -> list[Metric] | None:
        """Return the result, or ``None`` if there is none; why is logged."""
        run = self._readings.join_or_start(
            name, partial(_outcome, reading, self._services), deadline.left(READING_SECONDS)
        )
        try:
            return run.outcome()
        except TimeoutError as error:
            logger.warning("the metrics of %s cannot be read: %s", name, error)
            return None


_DATABASE_UP = "database up"
"""The name of the run that asks whether the database answers: no reading can be registered with a space."""


def gauge(name: str, documentation: str, value: float) -> Metric:
    """Return a gauge without labels."""
    return GaugeMetricFamily(name, documentation, value=value)


def gauge_by_table(name: str, documentation: str, values: Mapping[str, float]) -> Metric:
    """Return a gauge with a value for each table."""
    family = GaugeMetricFamily(name, documentation, labels=["table"])
    for table, value in values.items():
        family.add_metric([table], value)
    return family


def _outcome(reading: Reading, services: Services) -> list[Metric] | None:
    """Return what a reading returns, or ``None`` if it raises; why is logged."""
    try:
        return list(reading(services))
    except SQLAlchemyError as error:
        why, state = reason(error) or type(error).__name__, sqlstate(error)
        logger.warning("metrics cannot be read from the database: %s (SQLSTATE %s)", why, state)
    except Exception as error:  # noqa: BLE001 - the other metrics are there
        log_failure(logger, "a reading of metrics failed", error)
    return None


def _is_answering(_services: Services) -> list[Metric]:
    db.session.scalar(select(1))
    return []


def _waiting_mails(_services: Services) -> Iterator[Metric]:
    counted = select(OutgoingMail.next_attempt_at).limit(MAX_MAILS).subquery()
    count = db.session.scalar(select(func.count()).select_from(counted)) or 0
    yield gauge("authapp_mail_queue", "Mails that wait to be sent, at most 10,000.", count)
    documentation = "How long the mail whose turn is next has waited for it: since it was stored, or due again."
    yield gauge("authapp_mail_overdue_seconds", documentation, _mail_overdue_seconds())


def _mail_overdue_seconds() -> float:
    """Return how late the senders are. A mail that the server refuses for now is late only when it is due again."""
    mail = db.session.scalars(select(OutgoingMail).order_by(OutgoingMail.next_attempt_at).limit(1)).first()
    if mail is None:
        return 0
    # A claim counts an attempt; one that ends because the server takes no mail at all is taken back.
    was_tried = mail.attempts > int(mail.claimed_until is not None)
    late = clock.now() - (mail.next_attempt_at if was_tried else mail.created_at)
    return max(late.total_seconds(), 0.0)


def _given_up_mails(_services: Services) -> Iterator[Metric]:
    """Yield how many mails were given up, whichever process sends: the counters are those of the workers alone."""
    lately = AuditEvent.occurred_at > clock.now() - GIVEN_UP_WITHIN
    given_up = select(AuditEvent.id).where(AuditEvent.type == EventType.MAIL_FAILED, lately).limit(MAX_GIVEN_UP)
    count = db.session.scalar(select(func.count()).select_from(given_up.subquery())) or 0
    yield gauge("authapp_mail_given_up", "Mails that were given up within the last hour, at most 1,000.", count)


def _table_sizes(_services: Services) -> Iterator[Metric]:
    """Yield the sizes of all tables that the application declares; a table declared with a schema is named with it."""
    tables = db.metadata.tables
    quoted = [DIALECT.identifier_preparer.format_table(table) for table in tables.values()]
    found = db.session.execute(_TABLES, {"names": list(tables), "quoted": quoted}).all()
    sizes, rows = {row.name: row.bytes for row in found}, {row.name: row.rows for row in found}
    yield gauge_by_table("authapp_table_bytes", "Size of a table with its indexes.", sizes)
    yield gauge_by_table("authapp_table_rows", "Rows of a table, as PostgreSQL estimates.", rows)


def _overdue(services: Services) -> Iterator[Metric]:
    documentation = "How long the oldest row of a table could have been pruned."
    yield gauge_by_table("authapp_prune_overdue_seconds", documentation, services.pruning.overdue_seconds())


database_metrics.register("mails", _waiting_mails)
database_metrics.register("given_up_mails", _given_up_mails)
database_metrics.register("table_sizes", _table_sizes)
database_metrics.register("pruning", _overdue)
