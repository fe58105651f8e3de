"""The port of the metrics: the master takes it, and each worker answers scrapes for all.

Names of gunicorn that this file depends on, and that no document promises (tests/serving/test_gunicorn_names.py):
``gunicorn.util.parse_address(text)``, and the variable ``GUNICORN_PID``, which a master has while the one that it takes
over from runs.
"""

import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import gevent
import gevent.socket
from gevent.pool import Pool
from gevent.pywsgi import WSGIServer
from gunicorn.util import parse_address
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

DEFAULT_BIND = "127.0.0.1:9464"

SCRAPES_AT_ONCE = 4
"""How many connections a worker serves here at once; who opens more waits for the others."""

TAKEOVER_SECONDS = 1.0
"""How often a worker looks whether the old program has ended."""

CONNECTION_SECONDS = 5.0
"""How long a connection may take, whatever it does."""


@dataclass(frozen=True)
class MetricsPort:
    """The port of the metrics, which the master takes and every worker answers at, and the folder they count in."""

    listener: socket.socket
    folder: str

    def serve(self, database_metrics: Callable[[], Iterable[Metric]]) -> None:
        """Answer scrapes beside the requests. ``database_metrics`` returns what is read when somebody asks.

        While an old program and its successor run (USR2), the old one answers: each has its own counts, and Prometheus
        takes a count that goes down for one that began anew.
        """
        gevent.spawn(self._serve, _Scrapes(self.folder, database_metrics))

    def _serve(self, application: "_Scrapes") -> None:
        while (old_master := _old_master()) and _runs(old_master):
            gevent.sleep(TAKEOVER_SECONDS)
        self.listener.listen()
        # The master's socket is none of gevent's.
        listener = gevent.socket.socket(self.listener.family, self.listener.type, fileno=self.listener.fileno())
        _ScrapeServer(listener, application, log=None, spawn=Pool(SCRAPES_AT_ONCE)).start()


def on_starting(server: Any) -> None:
    """Take the port, and make the folder (gunicorn's hook, in the master)."""
    server.metrics_port = None
    if os.environ.get("AUTHAPP_METRICS", "").strip() != "on":
        return
    bind = os.environ.get("AUTHAPP_METRICS_BIND", "").strip() or DEFAULT_BIND
    try:
        listener = _bind(parse_address(bind))
    except OSError as error:
        sys.exit(f"Nothing can listen at AUTHAPP_METRICS_BIND={bind}: {error.strerror}.")
    folder = tempfile.mkdtemp(prefix="authapp-metrics-")
    if os.geteuid() == 0:
        # Workers that gunicorn runs as another account write there.
        os.chown(folder, server.cfg.uid, server.cfg.gid)
    server.metrics_port = MetricsPort(listener, folder)
    server.log.info("Metrics at http://%s:%s/metrics", *listener.getsockname()[:2])


def _old_master() -> int | None:
    """Return the process that this program takes over from (USR2). Workers that start after its end have none."""
    pid = os.environ.get("GUNICORN_PID")
    return int(pid) if pid else None


def _bind(address: tuple[str, int]) -> socket.socket:
    """Return a socket that has the port, and does not listen yet."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    dualstack = address[0] == "::" and socket.has_dualstack_ipv6()
    if _old_master() is None:
        # Fails if another service has the port: scrapes would be dealt out between the two.
        socket.create_server(address, family=family, dualstack_ipv6=dualstack).close()
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # The old master has the port, too.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not dualstack)
    listener.bind(address)
    return listener


def on_exit(server: Any) -> None:
    """Remove the folder (gunicorn's hook, in the master)."""
    if getattr(server, "metrics_port", None):
        shutil.rmtree(server.metrics_port.folder, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it runs as another account
        pass
    return True


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
