"""The counters of workers for ``/metrics``: each counts for itself, and the one that answers a scrape adds up all.

A worker counts in files named by its slot, the lowest number that no living worker has. Files named by process id would
pile up, since those of dead workers count on. The next worker in a slot goes on with its files.

Name of gunicorn that this file depends on, and that no document promises (tests/serving/test_gunicorn_names.py):
``Arbiter.WORKERS``, whose values are the workers alive.
"""

import contextlib
import functools
import logging
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from prometheus_client import values
from prometheus_client.multiprocess import mark_process_dead

from authapp.serving.known_requests import METHODS
from authapp.shared_names import CODE, ROUTE

RESERVED = 1 << 20
"""The bytes of each file for which there is room from the start, some thousand series."""

logger = logging.getLogger(__name__)


def pre_fork(server: Any, worker: Any) -> None:
    """Give a new worker the lowest slot that is free (gunicorn's hook, in the master)."""
    taken = {other.slot for other in server.WORKERS.values()}
    worker.slot = next(slot for slot in range(1, len(taken) + 2) if slot not in taken)
    worker.metrics_port = getattr(server, "metrics_port", None)
    if worker.metrics_port:
        try:
            if worker.metrics_port.folder.keep():
                server.log.warning("The folder of the metrics was gone, and is made again: reload, to count again")
        except OSError as error:
            # Requests are worth more than their count.
            server.log.warning("A worker starts without metrics, whose folder cannot be used: %s", error.strerror)
            worker.metrics_port = None


def child_exit(_server: Any, worker: Any) -> None:
    """Forget the requests that a dead worker had running (gunicorn's hook, in the master)."""
    if worker.metrics_port:
        with contextlib.suppress(OSError):
            mark_process_dead(worker.slot, worker.metrics_port.folder.path)  # type: ignore[no-untyped-call]


def count_in_slot(folder: str, slot: int) -> None:
    """Let this process count in the files of its slot. Call it before the application is imported."""
    try:
        _reserve(folder, slot)
    except OSError as error:
        logger.warning("nothing is counted, because the files of the metrics cannot be made: %s", error.strerror)
        return
    # Not in the master: what it starts, such as the check before a reload, would count in files of its own.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    shared = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]
    values.ValueClass = functools.partial(_value, shared, set())


def _reserve(folder: str, slot: int) -> None:
    """Take room for the files. On a full disk, the first write into a file without it would kill the process."""
    for kind in ("counter", "histogram", "gauge_livesum"):
        with (Path(folder) / f"{kind}_{slot}.db").open("ab") as file:
            os.posix_fallocate(file.fileno(), 0, RESERVED)


def _value(shared: Callable[..., Any], logged: set[str], *params: Any, **options: Any) -> Any:
    """Return a value in the files of this process, or one that no scrape sees where they cannot be opened.

    A metric is made at an import, or in a request that is the first of its kind: neither may fail for it.
    """
    try:
        return shared(*params, **options)
    except Exception as error:  # noqa: BLE001 - no right, no room, or a file that another program has written to
        name = params[1]
        if name not in logged:  # a histogram has many values
            logger.warning("%s is not counted, because its file cannot be opened: %s", name, type(error).__name__)
            logged.add(name)
        return values.MutexValue(*params, **options)  # type: ignore[no-untyped-call]


class RequestMetrics:
    """Counts requests as they are answered; ``connections_tracked`` counts a connection while it is open."""

    def __init__(self) -> None:
        """Take the metrics that the application, which has been imported, counts in."""
        # At the top, the master would have them, and a worker that imports the application anew would have two.
        from authapp import metrics  # noqa: PLC0415
        from authapp.domain.audit import event_types  # noqa: PLC0415
        from authapp.domain.mail.attempts import MailOutcome  # noqa: PLC0415
        from authapp.domain.mail.kinds import mail_kinds  # noqa: PLC0415

        self._metrics = metrics
        # Each series starts at 0: in one that appears with its first event, Prometheus sees no increase.
        for event_type in event_types:
            metrics.AUDIT_EVENTS.labels(event_type)
        for kind in (*mail_kinds, "unknown"):
            for outcome in MailOutcome:
                metrics.MAIL_ATTEMPTS.labels(kind, outcome)
        for via in ("fast_path", "session"):
            metrics.DATABASE_WAIT_SECONDS.labels(via)
        self.connections_tracked = metrics.HTTP_CONNECTIONS.track_inprogress()
        self._series: dict[tuple[str, str, str, str], tuple[Any, Any]] = {}

    def record(self, response: Any, environ: dict[str, Any], duration: timedelta) -> None:
        """Count one request."""
        method = environ.get("REQUEST_METHOD", "-")
        code = environ.get(CODE, "-")
        key = (environ.get(ROUTE, "-"), method if method in METHODS else "other", str(response.status)[:3], code)
        requests, seconds = self._series.get(key) or self._add_series(key)
        requests.inc()
        seconds.observe(duration.total_seconds())

    def record_own_answer(self, status: int, code: str) -> None:
        """Count an answer that gunicorn gives by itself: what it could not read has no method, and no duration."""
        self._metrics.HTTP_REQUESTS.labels("-", "other", str(status), code).inc()

    def _add_series(self, key: tuple[str, str, str, str]) -> tuple[Any, Any]:
        """Return the series of a key, and keep them: to look them up by their labels costs as much as to count."""
        series = (self._metrics.HTTP_REQUESTS.labels(*key), self._metrics.HTTP_REQUEST_SECONDS.labels(*key[:2]))
        self._series[key] = series
        return series
