"""Metrics at ``/metrics``, on a port of its own: each worker counts for itself, and any of them answers for all.

A worker counts in files named by its slot, 1 to the number of workers, and not by its process id: files by process id
would pile up, since those of dead workers count on. The next worker in a slot goes on with its files.

Names of gunicorn that this file depends on, and that no document promises (tests/serving/test_gunicorn_names.py):
``Arbiter.WORKERS``, whose values are the workers alive, and ``gunicorn.util.parse_address(text)``.
"""

import os
import shutil
import socket
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

from authapp.serving.access_log import CODE, ROUTE

DEFAULT_BIND = "127.0.0.1:9464"

SCRAPES_AT_ONCE = 4
"""How many connections a worker serves here at once; who opens more waits for the others."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


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
    address = parse_address(os.environ.get("AUTHAPP_METRICS_BIND", "").strip() or DEFAULT_BIND)
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    # While the program is upgraded, the old master and the new one have the port.
    listener = socket.create_server(address, family=family, reuse_port=True)
    server.metrics_port = MetricsPort(listener, tempfile.mkdtemp(prefix="authapp-metrics-"))
    server.log.info("Metrics at http://%s:%s/metrics", *listener.getsockname()[:2])


def pre_fork(server: Any, worker: Any) -> None:
    """Give a new worker the lowest slot that is free (gunicorn's hook, in the master)."""
    taken = {other.slot for other in server.WORKERS.values()}
    worker.slot = next(slot for slot in range(1, len(taken) + 2) if slot not in taken)
    worker.metrics_port = server.metrics_port


def child_exit(server: Any, worker: Any) -> None:
    """Forget what a dead worker had running (gunicorn's hook, in the master)."""
    if server.metrics_port:
        mark_process_dead(worker.slot, server.metrics_port.folder)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:
    """Remove the folder (gunicorn's hook, in the master)."""
    if server.metrics_port:
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

        self._metrics = metrics
        self.connections_tracked = metrics.HTTP_CONNECTIONS.track_inprogress()
        self._known: dict[tuple[str, str, str, str], tuple[Any, Any]] = {}

    def record(self, response: Any, environ: dict[str, Any], duration: timedelta) -> None:
        """Count one request."""
        method = environ.get("REQUEST_METHOD", "-")
        code = environ.get(CODE, "")
        key = (environ.get(ROUTE, "-"), method if method in METHODS else "other", str(response.status)[:3], code)
        requests, seconds = self._known.get(key) or self._know(key)
        requests.inc()
        seconds.observe(duration.total_seconds())

    def _know(self, key: tuple[str, str, str, str]) -> tuple[Any, Any]:
        """Return the series of a key, and keep them: looking them up by labels costs as much as counting."""
        series = (self._metrics.HTTP_REQUESTS.labels(*key), self._metrics.HTTP_REQUEST_SECONDS.labels(*key[:2]))
        self._known[key] = series
        return series


def serve(port: MetricsPort, readings: Callable[[], Iterable[Metric]]) -> None:
    """Answer scrapes beside the requests. ``readings`` returns what is read when somebody asks."""
    # The master's socket is none of gevent's.
    listener = gevent.socket.socket(port.listener.family, port.listener.type, fileno=port.listener.fileno())
    WSGIServer(listener, _Scrapes(port.folder, readings), log=None, spawn=Pool(SCRAPES_AT_ONCE)).start()


class _Scrapes:
    """The WSGI application at the port of metrics."""

    def __init__(self, folder: str, readings: Callable[[], Iterable[Metric]]) -> None:
        self._folder = folder
        self._readings = readings

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        """Answer ``GET /metrics`` in the text format that the client accepts."""
        if environ["PATH_INFO"] != "/metrics" or environ["REQUEST_METHOD"] != "GET":
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"The metrics are at GET /metrics.\n"]
        encode, content_type = choose_encoder(environ.get("HTTP_ACCEPT", ""))
        readings = list(self._readings())
        # On a thread: it parses the files of every worker, and requests must not wait for that.
        body = gevent.get_hub().threadpool.apply(self._render, (encode, readings))
        start_response("200 OK", [("Content-Type", content_type)])
        return [body]

    def _render(self, encode: Callable[[CollectorRegistry], bytes], readings: list[Metric]) -> bytes:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=self._folder)  # type: ignore[no-untyped-call]
        registry.register(_Collected(readings))
        return encode(registry)


class _Collected:
    """Metrics that have been read, as a collector."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """Return them."""
        return iter(self._metrics)
