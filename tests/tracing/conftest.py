"""An application whose spans are kept in memory."""

from collections.abc import Iterator

import pytest
from flask import Flask
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler

from authapp import tracing
from authapp.serving.traces import ServerSpans
from authapp.tracing import sdk
from conftest import created, rolled_back
from databases import Databases


class Spans:
    """The spans that have ended, and the sampler that makes them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._exporter, self._monkeypatch = InMemorySpanExporter(), monkeypatch
        monkeypatch.setattr(tracing, "_sdk", sdk)
        self.use(None)

    def use(self, sampler: Sampler | None) -> None:
        """Sample as ``sampler`` says, or as the variables do."""
        provider = TracerProvider(sampler, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        sdk.use(provider)

    def all(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def named(self, name: str) -> ReadableSpan:
        (span,) = [span for span in self.all() if span.name == name]
        return span

    def below(self, parent: ReadableSpan) -> list[ReadableSpan]:
        """Return the spans whose parent this is."""
        ids = parent.get_span_context().span_id
        return [span for span in self.all() if span.parent and span.parent.span_id == ids]

    def clear(self) -> None:
        self._exporter.clear()


@pytest.fixture(scope="session")
def traced_app(databases: Databases) -> Iterator[Flask]:
    """An application that was made, and whose connections are opened, while traces are made."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        Spans(monkeypatch)
        for app in created(databases):
            app.wsgi_app = ServerSpans(app.wsgi_app)  # type: ignore[method-assign]
            with rolled_back(app):
                pass
            monkeypatch.undo()
            yield app


@pytest.fixture
def app(traced_app: Flask) -> Iterator[Flask]:
    with rolled_back(traced_app):
        yield traced_app


@pytest.fixture
def spans(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Spans:
    return Spans(monkeypatch)
