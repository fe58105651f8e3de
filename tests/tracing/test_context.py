"""Whose trace a request belongs to, whether it is sampled, and what of it the logs have."""

import json
import logging
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, TraceIdRatioBased

from authapp.logs.formatter import LogFormatter
from authapp.serving.access_log import line
from authapp.serving.traces import ServerSpans
from authapp.tracing import sdk
from factories import Api
from tracing.conftest import Spans

TRACE_ID, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, NOT_SAMPLED = f"00-{TRACE_ID}-{PARENT_ID}-01", f"00-{TRACE_ID}-{PARENT_ID}-00"


def ping(api: Api, **headers: str) -> None:
    api.client.get("/api/v1/ping", headers=headers)


def test_a_traceparent_is_continued(api: Api, spans: Spans) -> None:
    ping(api, traceparent=SAMPLED)
    (span,) = spans.all()
    assert span.get_span_context().trace_id == int(TRACE_ID, 16)
    assert span.parent
    assert span.parent.span_id == int(PARENT_ID, 16)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "nonsense",
        f"00-{TRACE_ID}-{PARENT_ID}",
        f"00-{TRACE_ID.upper()}-{PARENT_ID}-01",
        f"00-{'0' * 32}-{PARENT_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"ff-{TRACE_ID}-{PARENT_ID}-01",
        f"00-{TRACE_ID[:-1]}-{PARENT_ID}-01",
        f"{SAMPLED},{SAMPLED}",
        f"{SAMPLED}-more",
        f"01-{TRACE_ID}-{PARENT_ID}-01-{'x' * 8000}",
        f"\xe4{SAMPLED}",
    ],
)
def test_one_that_is_malformed_is_ignored(api: Api, spans: Spans, header: str) -> None:
    ping(api, traceparent=header)
    (span,) = spans.all()
    assert span.parent is None
    assert span.get_span_context().trace_id != int(TRACE_ID, 16)


def test_a_trace_that_its_sender_does_not_sample_is_not_sampled(api: Api, spans: Spans) -> None:
    ping(api, traceparent=NOT_SAMPLED)
    assert spans.all() == []


@pytest.mark.parametrize("sampler", [ParentBased(TraceIdRatioBased(0.0)), TraceIdRatioBased(0.0)])
def test_a_request_without_a_parent_is_sampled_by_the_ratio(api: Api, spans: Spans, sampler: Any) -> None:
    spans.use(sampler)
    ping(api)
    assert spans.all() == []


@pytest.mark.parametrize(
    ("sampler", "header"),
    [
        (ParentBased(ALWAYS_OFF), SAMPLED),
        # The id is one that each ratio but 0 selects.
        (TraceIdRatioBased(1e-9), f"00-{'0' * 31}1-{PARENT_ID}-00"),
    ],
)
def test_guests_cannot_have_all_that_they_send_sampled(
    api: Api, spans: Spans, monkeypatch: pytest.MonkeyPatch, sampler: Any, header: str
) -> None:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(sdk, "time", SimpleNamespace(monotonic=lambda: clock.now))
    spans.use(sampler)
    for _ in range(2 * sdk.PARENTS_PER_SECOND):
        ping(api, traceparent=header)
    assert len(spans.all()) == sdk.PARENTS_PER_SECOND
    clock.now += 1
    ping(api, traceparent=header)
    assert len(spans.all()) == sdk.PARENTS_PER_SECOND + 1


def test_what_is_below_a_sampled_request_is_sampled_and_counts_for_no_limit(spans: Spans) -> None:
    spans.use(ParentBased(ALWAYS_OFF))
    with sdk.server_span("GET", SAMPLED, {}):
        for _ in range(2 * sdk.PARENTS_PER_SECOND):
            with sdk.client_span("SELECT", {}):
                pass
    assert len(spans.all()) == 2 * sdk.PARENTS_PER_SECOND + 1


def test_where_everything_is_sampled_no_parent_is_one_too_many(api: Api, spans: Spans) -> None:
    spans.use(ParentBased(ALWAYS_ON))
    for _ in range(2 * sdk.PARENTS_PER_SECOND):
        ping(api, traceparent=SAMPLED)
    assert len(spans.all()) == 2 * sdk.PARENTS_PER_SECOND


@pytest.mark.usefixtures("spans")
def test_events_of_a_request_have_the_ids_of_its_span_sampled_or_not() -> None:
    for header in (SAMPLED, NOT_SAMPLED):
        with sdk.server_span("GET", header, {}) as span:
            fields = formatted()
        assert fields["trace_id"] == TRACE_ID
        assert fields["span_id"] == f"{span.get_span_context().span_id:016x}"
    assert not formatted().keys() & {"trace_id", "span_id"}


def formatted() -> dict[str, Any]:
    record = logging.LogRecord("authapp", logging.WARNING, "file.py", 1, "said", (), None)
    fields: dict[str, Any] = json.loads(LogFormatter(["level", "name", "message"]).format(record))
    return fields


@pytest.mark.usefixtures("spans")
def test_the_line_about_a_request_has_the_ids_of_its_span() -> None:
    environ = {"REQUEST_METHOD": "GET", "wsgi.url_scheme": "http", "HTTP_TRACEPARENT": SAMPLED}
    inner: list[Any] = []

    def application(_environ: Any, _start: Any) -> list[bytes]:
        inner.append(formatted())
        return []

    response = SimpleNamespace(status="200 OK", sent=1)
    ServerSpans(application)(environ, lambda *_: None)
    fields = json.loads(line(response, environ, timedelta()))
    assert (fields["trace_id"], fields["span_id"]) == (TRACE_ID, inner[0]["span_id"])
    assert "trace_id" not in json.loads(line(response, {}, timedelta()))
