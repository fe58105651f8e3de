"""Traces of a worker: it starts them after the fork, makes a span of each request, and sends the last ones at its end.

What is imported of the application is imported in functions: at the top, the master would have it, and a worker that
imports the application anew would have two.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

from authapp.serving.known_requests import HEALTH_PROBES, METHODS
from authapp.shared_names import CODE, ROUTE, TRACE

SERVER_ERROR = 500
WITHOUT_BODY = frozenset({"204", "304"})


def start() -> bool:
    """Start traces in this process, if the settings say so. Call it before the application is imported."""
    if not any(name.startswith("OTEL_EXPORTER_OTLP_") for name in os.environ):
        return False  # nothing is imported
    from authapp import tracing  # noqa: PLC0415

    return tracing.start()


def stop() -> None:
    """Send what waits, if ``start`` returned true. A worker that stops has answered its requests by then."""
    from authapp import tracing  # noqa: PLC0415

    tracing.stop()


class ServerSpans:
    """WSGI middleware: each request is a span that continues its ``traceparent``, from its headers to its answer.

    Where an answer is streamed, so that nobody knows its length, the span lasts until it has been closed. It has the
    template of the route and never the path, which may hold a name, an address or a token. Health probes have no span:
    they come every few seconds, and would be most of what is sampled in a quiet service.
    """

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        """Take the application."""
        from authapp.tracing import sdk  # noqa: PLC0415

        self._application, self._server_span = application, sdk.server_span

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        if environ.get("PATH_INFO", "").startswith(HEALTH_PROBES):
            return self._application(environ, start_response)
        method = environ["REQUEST_METHOD"]
        method = method if method in METHODS else "_OTHER"
        attributes = {"http.request.method": method}
        name = "HTTP" if method == "_OTHER" else method
        is_streamed = True
        with ExitStack() as stack:
            span = stack.enter_context(self._server_span(name, environ.get("HTTP_TRACEPARENT"), attributes))
            context = span.get_span_context()
            environ[TRACE] = (f"{context.trace_id:032x}", f"{context.span_id:016x}")

            def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
                nonlocal is_streamed
                is_streamed = status[:3] not in WITHOUT_BODY and all(
                    header.lower() != "content-length" for header, _ in headers
                )
                if span.is_recording():
                    _describe(span, name, environ, int(status[:3]))
                return start_response(status, headers, *error)

            answer = self._application(environ, start)
            return _StreamedAnswer(answer, stack.pop_all()) if is_streamed else answer


class _StreamedAnswer:
    """An answer that ends a span: when it has failed, or when the server closes it, which PEP 3333 promises."""

    def __init__(self, answer: Iterable[bytes], span: ExitStack) -> None:
        self._answer, self._span = answer, span

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._answer
        except Exception:
            self._span.__exit__(*sys.exc_info())
            raise

    def close(self) -> None:
        """Close the answer, and end the span."""
        with self._span:
            if close := getattr(self._answer, "close", None):
                close()


def _describe(span: Any, name: str, environ: dict[str, Any], status: int) -> None:
    span.set_attribute("http.response.status_code", status)
    # As the trusted proxies say, whose middleware is further in.
    span.set_attribute("url.scheme", "https" if environ["wsgi.url_scheme"] == "https" else "http")
    if route := environ.get(ROUTE):
        span.set_attribute("http.route", route)
        span.update_name(f"{name} {route}")
    if code := environ.get(CODE):
        span.set_attribute("authapp.code", code)
    if status >= SERVER_ERROR:
        from opentelemetry.trace import StatusCode  # noqa: PLC0415 - only where it is installed

        span.set_status(StatusCode.ERROR)
        span.set_attribute("error.type", str(status))
