"""Making spans with the SDK of OpenTelemetry, and sending them by OTLP over HTTP."""

import logging
import os
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.metadata import version
from random import getrandbits
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from authapp.tracing import Attributes, collector

PARENTS_PER_SECOND = 50
"""How often in a second a process samples a trace because the sender of the request has sampled it."""

BATCH = 128
"""How many spans are sent at once. All greenlets wait while they are encoded: 3 ms, against 12 ms for the usual 512."""

REPORT_SECONDS = 60.0
"""At most once in this time a process reports that spans are lost."""

logger = logging.getLogger("authapp.tracing")

_propagator = TraceContextTextMapPropagator()
_NOT_RECORDED = nullcontext(INVALID_SPAN)
_provider: TracerProvider
_tracer: Tracer


def start() -> None:
    """Take the settings from the variables ``OTEL_*``, and start the thread that sends spans (a greenlet under gevent).

    Raises whatever OpenTelemetry does about a variable.
    """
    # Its messages quote headers, come with each request or batch, and are replaced by those of ReportedExporter.
    sdk_logger = logging.getLogger("opentelemetry")
    sdk_logger.addHandler(logging.NullHandler())
    sdk_logger.propagate = False
    provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
    batch = None if os.environ.get("OTEL_BSP_MAX_EXPORT_BATCH_SIZE") else BATCH
    provider.add_span_processor(BatchSpanProcessor(ReportedExporter(OTLPSpanExporter()), max_export_batch_size=batch))
    use(provider)


def use(provider: TracerProvider) -> None:
    """Make the spans with ``provider``, whose sampler is bounded by ``BoundedParents``."""
    global _provider, _tracer
    provider.sampler = BoundedParents(provider.sampler)
    _provider, _tracer = provider, provider.get_tracer("authapp", version("authapp"))


def stop(seconds: float) -> None:
    """Send what waits, for so many ``seconds`` at most: a collector that is away must not hold up the end."""
    thread = threading.Thread(target=_provider.shutdown, daemon=True)
    thread.start()
    thread.join(seconds)


def server_span(name: str, header: str | None, attributes: Attributes) -> AbstractContextManager[Span]:
    """Return a context that is the span of a request with this ``traceparent``, which is ignored if it is malformed."""
    return _span(name, SpanKind.SERVER, attributes, _parent(header))


def continued_span(name: str, header: str | None, attributes: Attributes) -> AbstractContextManager[Span]:
    """See ``authapp.tracing.continued_span``."""
    return _span(name, SpanKind.CONSUMER, attributes, _parent(header))


def span(name: str, attributes: Attributes) -> AbstractContextManager[Span]:
    """See ``authapp.tracing.span``."""
    return _span(name, SpanKind.INTERNAL, attributes, None)


def client_span(name: str, attributes: Attributes) -> AbstractContextManager[Span]:
    """See ``authapp.tracing.client_span``."""
    if not trace.get_current_span().is_recording():
        return _NOT_RECORDED
    return _span(name, SpanKind.CLIENT, attributes, None)


def traceparent() -> str | None:
    """See ``authapp.tracing.traceparent``."""
    if not trace.get_current_span().is_recording():
        return None
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier["traceparent"]


@contextmanager
def _span(name: str, kind: SpanKind, attributes: Attributes, parent: Context | None) -> Iterator[Span]:
    with _tracer.start_as_current_span(
        name,
        parent,
        kind,
        dict(attributes),
        # An exception's message quotes what a client sent, and that of a database error the values of a row.
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except BaseException as error:
            span.set_status(StatusCode.ERROR)
            span.set_attribute("error.type", type(error).__name__)
            raise


def _parent(header: str | None) -> Context:
    """Return the context of a ``traceparent``. ``tracestate`` and ``baggage`` are ignored: anybody may write there."""
    return _propagator.extract({"traceparent": header} if header else {}, Context())


def _resource() -> Resource:
    instance = str(uuid.uuid4())  # noqa: TID251 - authapp.security.identifiers is on a floor above
    resource = Resource.create({"service.version": version("authapp"), "service.instance.id": instance})
    if str(resource.attributes["service.name"]).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": "authapp"}))
    return resource


class BoundedParents(Sampler):
    """A sampler that believes those who send requests only so often that they have sampled a trace.

    Anybody can send a ``traceparent`` whose flag says so, or whose id a ratio selects. Beyond ``PARENTS_PER_SECOND``
    such a request is sampled as one without a parent is.
    """

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self._second, self._left = 0, 0

    def should_sample(
        self, parent_context: Context | None, trace_id: int, name: str, *further: Any, **more: Any
    ) -> SamplingResult:
        """Ask the sampler, and again without the parent if that was believed too often."""
        result = self._sampler.should_sample(parent_context, trace_id, name, *further, **more)
        parent = trace.get_current_span(parent_context).get_span_context()
        if parent.is_remote and result.decision is Decision.RECORD_AND_SAMPLE and not self._take():
            return self._sampler.should_sample(Context(), getrandbits(128), name, *further, **more)
        return result

    def get_description(self) -> str:
        """Return the name that OpenTelemetry shows."""
        return f"BoundedParents({self._sampler.get_description()})"

    def _take(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._left = second, PARENTS_PER_SECOND
        self._left -= 1
        return self._left >= 0


class ReportedExporter(SpanExporter):
    """An exporter whose failures are logged once in ``REPORT_SECONDS``, with the number of spans that are lost."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._lost = self._reported = 0
        self._next_report = 0.0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans."""
        result = self._exporter.export(spans)
        if result is not SpanExportResult.SUCCESS:
            self._lost += len(spans)
            if time.monotonic() >= self._next_report:
                self._report()
        return result

    def shutdown(self) -> None:
        """Close the exporter."""
        if self._lost > self._reported:
            self._report()
        self._exporter.shutdown()

    def _report(self) -> None:
        self._next_report, self._reported = time.monotonic() + REPORT_SECONDS, self._lost
        logger.warning("The collector at %s takes no traces: at least %d spans are lost.", collector(), self._lost)
