"""Spans that a project makes, and answers and statements whose span is not known at first."""

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from authapp import span
from authapp.database import traced_cursor
from authapp.serving.traces import ServerSpans
from authapp.tracing import sdk
from tracing.conftest import Spans

GET = {"REQUEST_METHOD": "GET", "wsgi.url_scheme": "http"}


def test_without_traces_a_span_of_a_project_does_nothing() -> None:
    with span("price a basket", {"basket.items": 3}) as made:
        made.set_attribute("basket.currency", "EUR")
        assert not trace.get_current_span().is_recording()
    with pytest.raises(ValueError, match="mine"), span("price a basket"):
        raise ValueError("mine")


def test_a_span_of_a_project_is_within_that_of_the_request(spans: Spans) -> None:
    with sdk.server_span("GET", None, {}), span("price a basket", {"basket.items": 3}) as made:
        made.set_attribute("basket.currency", "EUR")
    found = spans.named("price a basket")
    assert found in spans.below(spans.named("GET"))
    assert found.kind is SpanKind.INTERNAL
    assert found.attributes == {"basket.items": 3, "basket.currency": "EUR"}


def test_outside_of_a_request_it_begins_a_trace_and_an_error_is_its_type(spans: Spans) -> None:
    with pytest.raises(ValueError, match="s3cr3t"), span("price a basket"):
        raise ValueError("s3cr3t")
    found = spans.named("price a basket")
    assert found.parent is None
    assert found.status.status_code is StatusCode.ERROR
    assert found.attributes == {"error.type": "ValueError"}
    assert not found.events


def streamed(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    assert environ
    start_response("200 OK", [("Content-Type", "text/csv")])
    with span("write a part"):
        yield b"a part"
    if "fails" in environ:
        raise ValueError("s3cr3t")


def test_the_span_of_a_streamed_answer_lasts_until_it_is_closed(spans: Spans) -> None:
    answer: Any = ServerSpans(streamed)({**GET}, lambda *_: None)
    assert list(answer) == [b"a part"]
    assert [each.name for each in spans.all()] == ["write a part"]
    answer.close()
    request = spans.named("GET")
    assert spans.below(request) == [spans.named("write a part")]
    assert request.attributes
    assert request.attributes["http.response.status_code"] == 200
    assert not trace.get_current_span().is_recording()


def test_one_that_breaks_off_is_an_error(spans: Spans) -> None:
    answer: Any = ServerSpans(streamed)({**GET, "fails": True}, lambda *_: None)
    with pytest.raises(ValueError, match="s3cr3t"):
        list(answer)
    answer.close()
    request = spans.named("GET")
    assert request.status.status_code is StatusCode.ERROR
    assert request.attributes
    assert request.attributes["error.type"] == "ValueError"
    assert not request.events
    assert not trace.get_current_span().is_recording()


@pytest.mark.parametrize(("status", "headers"), [("200 OK", [("content-length", "1")]), ("204 No Content", [])])
def test_that_of_an_answer_that_is_there_whole_ends_at_once(
    spans: Spans, status: str, headers: list[tuple[str, str]]
) -> None:
    def whole(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response(status, headers)
        return []

    assert ServerSpans(whole)({**GET}, lambda *_: None) == []
    assert spans.named("GET")


def test_a_statement_that_runs_before_its_text_was_seen_has_its_name_afterwards() -> None:
    execute = "EXECUTE authapp_of_this_test (1)"
    assert traced_cursor.describe(execute)[0] == "BATCH"
    prepare = "PREPARE authapp_of_this_test (int) AS SELECT 1 FROM users; "
    assert traced_cursor.describe(prepare + execute)[0] == "SELECT users"
    assert traced_cursor.describe(execute)[0] == "SELECT users"
