"""Answers scrapes of the metrics, at a port that bounds its clients as the port of the requests does.

gevent's own WSGI server discards bodies without a bound, and prints what clients sent.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from pathlib import Path
from typing import Any

import gevent
from gevent.pool import Pool
from gevent.server import StreamServer
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

from authapp.serving.answer import limit_buffers
from authapp.serving.client_socket import READ_BYTES, ClientSocket, TooManyBytes
from authapp.serving.fair_scheduler import FairScheduler

SCRAPES_AT_ONCE = 4
"""How many connections a worker serves here at once; further ones wait."""

REQUEST_SECONDS = 5.0
"""How long the head of a request may take to arrive."""

ANSWER_SECONDS = 5.0
"""How long a client may take for its answer, and to hang up."""

logger = logging.getLogger(__name__)


class ScrapeServer(StreamServer):  # type: ignore[misc]  # gevent has no types
    """Serves one request a connection: its head, of bounded length, and no body."""

    def __init__(
        self, listener: Any, folder: str, metrics: Callable[[], Iterable[Metric]], scheduler: FairScheduler
    ) -> None:
        """Take the folder that the workers count in, and a function that returns what is read at each scrape."""
        limit_buffers(listener)
        super().__init__(listener, spawn=Pool(SCRAPES_AT_ONCE))
        self._folder, self._metrics, self._scheduler = folder, metrics, scheduler

    def handle(self, client: Any, address: Any) -> None:
        """Serve one connection. Without limits, a few clients would end all scraping, or hold up the requests."""
        limited = ClientSocket(client, self._scheduler)
        try:
            head = b""
            with gevent.Timeout(REQUEST_SECONDS, False):
                head = _read_head(limited)
            if _END not in head:
                return
            answer = _Exchange(head, address, self._render).answer
            with gevent.Timeout(ANSWER_SECONDS, False):
                limited.send(answer)
                limited.linger()
        except (OSError, TooManyBytes):
            pass  # the client is gone, or to be hung up on
        except Exception as error:  # noqa: BLE001 - gevent would print it
            _log_failure(error)

    def _render(self, encode: Callable[[CollectorRegistry], bytes]) -> bytes:
        """Return the metrics of all workers. Raises ``FileNotFoundError`` if the folder is gone."""
        collector = _ReadMetrics(list(self._metrics()))
        # On a thread: it parses the files of every worker, and requests must not wait for that.
        body: bytes = gevent.get_hub().threadpool.apply(_encoded, (self._folder, encode, collector))
        return body


_END = b"\r\n\r\n"


def _read_head(client: ClientSocket) -> bytes:
    """Return what has arrived when the head is complete, or when the client has hung up. Raises ``TooManyBytes``."""
    head = b""
    while _END not in head:
        received = client.recv(READ_BYTES)
        if not received:
            break
        head += received
    return head


class _Exchange(BaseHTTPRequestHandler):
    """One request, whose head is here, and its ``answer``."""

    error_message_format = "%(code)d\n"
    error_content_type = "text/plain"

    def __init__(self, head: bytes, address: Any, render: Callable[[Callable[[CollectorRegistry], bytes]], bytes]):
        """Answer the request."""
        self.rfile, self.wfile = BytesIO(head), BytesIO()
        self._written = self.wfile
        self._render = render
        super().__init__(None, address, None)  # type: ignore[arg-type]  # nothing is read from the socket

    @property
    def answer(self) -> bytes:
        """Return the bytes of the answer."""
        return self._written.getvalue()

    def setup(self) -> None:
        """Do nothing: the base class would read and write a socket without limits."""

    def finish(self) -> None:
        """Do nothing."""

    def handle(self) -> None:
        """Answer the one request."""
        self.handle_one_request()

    def do_GET(self) -> None:
        """Answer ``GET /metrics`` in the text format that the client accepts."""
        if "Transfer-Encoding" in self.headers or self.headers.get("Content-Length", "0") != "0":
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        elif self.path.partition("?")[0] != "/metrics":
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            self._send_metrics()

    def _send_metrics(self) -> None:
        encode, content_type = choose_encoder(self.headers.get("Accept", ""))
        try:
            body = self._render(encode)
        except Exception as error:  # noqa: BLE001 - a bug is answered and logged, like those of requests
            _log_failure(error)
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR)
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        """Return the header ``Server``, which would have versions."""
        return "authapp"

    def log_message(self, format: str, *_args: Any) -> None:  # noqa: A002 - named by the base class
        """Log nothing: it would be what the client sent."""


def _encoded(folder: str, encode: Callable[[CollectorRegistry], bytes], collector: "_ReadMetrics") -> bytes:
    if not Path(folder).is_dir():
        raise FileNotFoundError(folder)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
    registry.register(collector)
    return encode(registry)


class _ReadMetrics:
    """Metrics that have been read, as a collector."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """Return them."""
        return iter(self._metrics)


def _log_failure(error: Exception) -> None:
    # At the top, the master would have it, and a worker that imports the application anew would have two.
    from authapp.domain.failures import log_failure  # noqa: PLC0415

    if isinstance(error, FileNotFoundError):
        logger.error("no scrape can be answered: the folder of the metrics is gone; reload, to count again")
    else:
        log_failure(logger, "a scrape failed", error)
