"""Traces of a real server: both workers send them, the last ones when they stop, and a dead collector slows nobody."""

import json
import time
from pathlib import Path
from typing import Any

from databases import Databases
from e2e.collector import Collector, collector, silent_collector
from e2e.processes import START, Server, environment, serving
from factories import PASSWORD

PINGS = 40
"""Each by a connection of its own, so that both workers answer some."""

TRACE_ID, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ACCOUNT = {"username": "ada", "email": "ada@example.com", "password": PASSWORD}


def traced(url: str, endpoint: str, **changes: str) -> dict[str, str]:
    return environment(url, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, WEB_CONCURRENCY="2", **changes)


def lines(server: Server) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]


def wait_for_both_workers(server: Server) -> None:
    deadline = time.monotonic() + START
    while server.log.count("Worker ready") < 2:
        assert time.monotonic() < deadline, server.log
        time.sleep(0.1)


def logged_in(server: Server) -> str:
    server.call("POST", "/api/v1/auth/register", json=ACCOUNT).raise_for_status()
    login = {"username": "ada", "password": PASSWORD}
    token: str = server.call("POST", "/api/v1/auth/login", json=login).json()["access_token"]
    return token


def test_both_workers_send_spans_that_continue_traces_the_last_ones_when_they_stop(
    databases: Databases, tmp_path: Path
) -> None:
    with databases.migrated() as url, collector() as taking:
        # Nothing is sent before the end: it is the stop that sends.
        with serving(tmp_path, traced(url, taking.endpoint, OTEL_BSP_SCHEDULE_DELAY="600000")) as server:
            wait_for_both_workers(server)
            token = logged_in(server)
            for _ in range(PINGS):
                headers = {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01"}
                assert server.call("GET", "/api/v1/ping", token, headers=headers).status_code == 200
            assert taking.spans == []
        assert taking.paths == {"/v1/traces"}
        assert_continued(taking, lines(server))
    assert "ada" not in str(taking.spans)
    assert "collector" not in server.log


def assert_continued(taking: Collector, logged: list[dict[str, Any]]) -> None:
    pings = taking.named("GET /api/v1/ping")
    assert len(pings) == PINGS
    assert {span.trace_id.hex() for span, _ in pings} == {TRACE_ID}
    assert {span.parent_span_id.hex() for span, _ in pings} == {PARENT_ID}
    assert {resource["service.name"] for _, resource in pings} == {"authapp"}
    assert len({resource["service.instance.id"] for _, resource in pings}) == 2
    # The line about each request names its span, and each statement of the fast path is below one.
    ids = {span.span_id.hex() for span, _ in pings}
    assert {line["span_id"] for line in logged if line.get("route") == "/api/v1/ping"} == ids
    statements = [span for span, _ in taking.spans if span.parent_span_id.hex() in ids]
    assert len(statements) >= PINGS
    assert all(span.name.startswith("SELECT ") for span in statements)


def test_a_collector_that_never_answers_slows_no_request_and_no_stop_and_fills_no_log(
    databases: Databases, tmp_path: Path
) -> None:
    small = {"OTEL_BSP_MAX_QUEUE_SIZE": "32", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "8", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    with databases.migrated() as url, silent_collector() as endpoint:
        with serving(tmp_path, traced(url, endpoint, **small)) as server:
            token = logged_in(server)
            durations = []
            until = time.monotonic() + 2
            while time.monotonic() < until:
                start = time.monotonic()
                assert server.call("GET", "/api/v1/ping", token).status_code == 200
                durations.append(time.monotonic() - start)
            stopped = time.monotonic()
        assert time.monotonic() - stopped < 20
    durations.sort()
    assert durations[len(durations) * 9 // 10] < 0.5
    warnings = [line for line in lines(server) if line["level"] in {"WARNING", "ERROR"}]
    # Of each worker, when it begins and at its end.
    assert 1 <= len(warnings) <= 4
    assert {line["name"] for line in warnings} == {"authapp.tracing"}
