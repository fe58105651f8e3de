"""A collector of OpenTelemetry on this machine: it takes spans by OTLP over HTTP, or never answers."""

import gzip
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """Its ``spans`` are what has arrived, each with the attributes of its resource."""

    def __init__(self) -> None:
        self.spans: list[tuple[Any, dict[str, str]]] = []
        self.paths: set[str] = set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.take(self.path, gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Write nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}"

    def take(self, path: str, body: bytes) -> None:
        self.paths.add(path)
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = {each.key: each.value.string_value for each in of_resource.resource.attributes}
            self.spans += [(span, resource) for scope in of_resource.scope_spans for span in scope.spans]

    def named(self, name: str) -> list[tuple[Any, dict[str, str]]]:
        return [(span, resource) for span, resource in self.spans if span.name == name]


@contextmanager
def collector() -> Iterator[Collector]:
    made = Collector()
    threading.Thread(target=made.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield made
    finally:
        made.http.shutdown()
        made.http.server_close()


@contextmanager
def silent_collector() -> Iterator[str]:
    """Lend the endpoint of a collector that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
