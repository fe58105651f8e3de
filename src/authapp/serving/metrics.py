"""Metrics at ``/metrics``, on a port of its own: each worker counts for itself, and any of them answers for all.

A worker counts in files named by its slot, the lowest number that no living worker has. Files named by process id would
pile up, since those of dead workers count on. The next worker in a slot goes on with its files.

Names of gunicorn that this file depends on, and that no document promises (tests/serving/test_gunicorn_names.py):
``Arbiter.WORKERS``, whose values are the workers alive, and ``gunicorn.util.parse_address(text)``.
"""

import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import gevent
import gevent.socket
from gevent.pool import Pool
from gevent.pywsgi import WSGIServer
from gunicorn.util import parse_address
from prometheus_client import CollectorRegistry, values
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from authapp.serving.traces import METHODS
from authapp.shared_names import CODE, ROUTE

DEFAULT_BIND = "127.0.0.1:9464"

SCRAPES_AT_ONCE = 4
"""How many connections a worker serves here at once; who opens more waits for the others."""

CONNECTION_SECONDS = 5.0
"""How long a connection may take, whatever it does."""


@dataclass(frozen=True)
class MetricsPort:
    """The port of the metrics, which the master opens and every worker answers at, and the folder they count in."""

    listener: socket.socket
    folder: str


def on_starting(server: Any) -> None:
    """Open the port, and make the folder (gunicorn's hook, in the master)."""
    server.metrics_port = None
    if os.environ.get("AUTHAPP_METRICS", "").strip() != "on":
        return
    bind = os.environ.get("AUTHAPP_METRICS_BIND", "").strip() or DEFAULT_BIND
    try:
        listener = _listen(parse_address(bind))
    except OSError as error:
        sys.exit(f"Nothing can listen at AUTHAPP_METRICS_BIND={bind}: {error.strerror}.")
    folder = tempfile.mkdtemp(prefix="authapp-metrics-")
    if os.geteuid() == 0:
        # Workers that gunicorn runs as another account write there.
        os.chown(folder, server.cfg.uid, server.cfg.gid)
    server.metrics_port = MetricsPort(listener, folder)
    server.log.info("Metrics at http://%s:%s/metrics", *listener.getsockname()[:2])


def _listen(address: tuple[str, int]) -> socket.socket:
    options: dict[str, Any] = {"family": socket.AF_INET6 if ":" in address[0] else socket.AF_INET}
    options["dualstack_ipv6"] = address[0] == "::" and socket.has_dualstack_ipv6()
    if "GUNICORN_PID" not in os.environ:
        # Fails if another service has the port: scrapes would be dealt out between the two.
        socket.create_server(address, **options).close()
    # While the program is upgraded (USR2), the old master and the new one have the port.
    return socket.create_server(address, **options, reuse_port=True)


def pre_fork(server: Any, worker: Any) -> None:
    """Give a new worker the lowest slot that is free (gunicorn's hook, in the master)."""
    taken = {other.slot for other in server.WORKERS.values()}
    worker.slot = next(slot for slot in range(1, len(taken) + 2) if slot not in taken)
    worker.metrics_port = getattr(server, "metrics_port", None)


def child_exit(_server: Any, worker: Any) -> None:
    """Forget what a dead worker had running (gunicorn's hook, in the master)."""
    if worker.metrics_port:
        mark_process_dead(worker.slot, worker.metrics_port.folder)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:
    """Remove the folder (gunicorn's hook, in the master)."""
    if getattr(server, "metrics_port", None):
        shutil.rmtree(server.metrics_port.folder, ignore_errors=True)


def count_in_slot(folder: str, slot: int) -> None:
    """Let this process count in the files of its slot. Call it before the application is imported."""
    # Not in the master: what it starts, such as the check before a reload, would count in files of its own.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]


class RequestMetrics:
    """Counts requests as they are answered; ``connections_tracked`` counts a connection while it is open."""

    def __init__(self) -> None:
        """Take the metrics that the application, which has been imported, counts in."""
        # At the top, the master would have them, and a worker that imports the application anew would have two.
        from authapp import metrics  # noqa: PLC0415
        from authapp.domain.audit import event_types  # noqa: PLC0415

        self._metrics = metrics
        # From 0 on: of a counter that begins with its first event, Prometheus does not see that it rose.
        for event_type in event_types:
            metrics.AUDIT_EVENTS.labels(event_type)
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

    def _add_series(self, key: tuple[str, str, str, str]) -> tuple[Any, Any]:
        """Return the series of a key, and keep them: to look them up by their labels costs as much as to count."""
        series = (self._metrics.HTTP_REQUESTS.labels(*key), self._metrics.HTTP_REQUEST_SECONDS.labels(*key[:2]))
        self._series[key] = series
        return series


def serve(port: MetricsPort, database_metrics: Callable[[], Iterable[Metric]]) -> None:
    """Answer scrapes beside the requests. ``database_metrics`` returns what is read when somebody asks."""
    # The master's socket is none of gevent's.
    listener = gevent.socket.socket(port.listener.family, port.listener.type, fileno=port.listener.fileno())
    application = _Scrapes(port.folder, database_metrics)
    _ScrapeServer(listener, application, log=None, spawn=Pool(SCRAPES_AT_ONCE)).start()


class _ScrapeServer(WSGIServer):  # type: ignore[misc]  # gevent has no types
    def handle(self, client: Any, address: Any) -> None:
        """Serve one connection. Without a limit, a few that say nothing would end all scraping."""
        with gevent.Timeout(CONNECTION_SECONDS, False):
            super().handle(client, address)


class _Scrapes:
    """The WSGI application at the port of metrics."""

    def __init__(self, folder: str, database_metrics: Callable[[], Iterable[Metric]]) -> None:
        self._folder = folder
        self._database_metrics = database_metrics

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        """Answer ``GET /metrics`` in the text format that the client accepts."""
        if environ["PATH_INFO"] != "/metrics" or environ["REQUEST_METHOD"] != "GET":
            start_response("404 Not Found", [("Content-Type", "text/plain"), ("Connection", "close")])
            return [b"The metrics are at GET /metrics.\n"]
        encode, content_type = choose_encoder(environ.get("HTTP_ACCEPT", ""))
        collector = _ReadMetrics(list(self._database_metrics()))
        # On a thread: it parses the files of every worker, and requests must not wait for that.
        body = gevent.get_hub().threadpool.apply(self._render, (encode, collector))
        start_response("200 OK", [("Content-Type", content_type), ("Connection", "close")])
        return [body]

    def _render(self, encode: Callable[[CollectorRegistry], bytes], collector: "_ReadMetrics") -> bytes:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=self._folder)  # type: ignore[no-untyped-call]
        registry.register(collector)
        return encode(registry)


class _ReadMetrics:
    """Metrics that have been read, as a collector."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """Return them."""
        return iter(self._metrics)
