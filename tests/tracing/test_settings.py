"""When traces are made, what is said if they are not, and that a collector that is away holds up nobody."""

import logging
import os
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace
from typing import Any, cast

import pytest
from flask import Flask
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from authapp import tracing
from authapp.cli.checks import CheckLevel, without_database
from authapp.cli.checks.traces import configured
from authapp.domain.mail.delivery import MailDelivery
from authapp.domain.services import Services
from authapp.tracing import sdk

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
COLLECTOR = "http://user:s3cr3t@127.0.0.1:4318"
NO_SERVICES = cast("Services", SimpleNamespace())


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(tracing, "_sdk", None)


def is_missing(_name: str) -> Any:
    raise PackageNotFoundError


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {ENDPOINT: " "},
        {ENDPOINT: COLLECTOR, "OTEL_SDK_DISABLED": "TRUE"},
        {ENDPOINT: COLLECTOR, "OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_SERVICE_NAME": "authapp"},
    ],
)
def test_without_an_endpoint_nothing_is_wanted_and_nothing_is_wrong(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(tracing, "distribution", is_missing)
    assert tracing.configuration_problem() is None
    assert not tracing.start()
    assert not caplog.records
    assert configured(NO_SERVICES).sentence == "They are off."


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"OTEL_TRACES_EXPORTER": "console"}, "OTEL_TRACES_EXPORTER must be"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "must be http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}, "must be http/protobuf"),
        ({ENDPOINT: "collector:4317"}, "must be an http or https address"),
        ({"OTEL_TRACES_SAMPLER": "sometimes"}, "OTEL_TRACES_SAMPLER must be one of"),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "10"}, "SAMPLER_ARG must be a number"),
        ({"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "x"}, "must be a number"),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "-1"}, "does not accept a variable OTEL_* (ValueError)"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named_and_the_service_goes_on_without_traces(
    variables: dict[str, str], problem: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in {ENDPOINT: COLLECTOR, **variables}.items():
        monkeypatch.setenv(name, value)
    assert not tracing.start()
    assert not tracing.is_on()
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert problem in record.getMessage()
    assert "s3cr3t" not in caplog.text


def test_a_missing_extra_is_said_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(ENDPOINT, COLLECTOR)
    monkeypatch.setattr(tracing, "distribution", is_missing)
    assert not tracing.start()
    assert "Install authapp[otel]" in caplog.text
    result = configured(NO_SERVICES)
    assert result.level is CheckLevel.FAIL
    assert result.sentence == "None are made: OpenTelemetry is not installed."
    assert result.advice == "Install authapp[otel], or set OTEL_SDK_DISABLED=true."


def test_the_doctor_says_where_traces_are_sent_and_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    assert configured in without_database
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{COLLECTOR}/v1/traces")
    result = configured(NO_SERVICES)
    assert (result.level, result.sentence) == (CheckLevel.OK, "They are sent to 127.0.0.1:4318.")


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({}, "authapp"),
        ({"OTEL_SERVICE_NAME": "accounts"}, "accounts"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=accounts,team=a"}, "accounts"),
    ],
)
def test_the_service_has_the_name_that_is_set(
    variables: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in {ENDPOINT: "http://127.0.0.1:1", **variables}.items():
        monkeypatch.setenv(variable, value)
    assert tracing.start()
    assert tracing.is_on()
    resource = sdk._provider.resource.attributes
    assert resource["service.name"] == name
    assert resource["service.version"]
    assert resource["service.instance.id"]
    tracing.stop()
    assert not tracing.is_on()


def test_a_process_that_sends_mail_makes_traces_while_it_does(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(tracing, "start", lambda: calls.append("start"))
    monkeypatch.setattr(tracing, "stop", lambda: calls.append("stop"))
    monkeypatch.setattr(MailDelivery, "deliver", lambda *_, **__: calls.append("deliver"))
    assert app.test_cli_runner().invoke(args=["mail", "deliver"]).exit_code == 0
    assert calls == ["start", "deliver", "stop"]


class DeadCollector(SpanExporter):
    """Fails, after ``seconds``."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds = seconds

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        del spans
        time.sleep(self._seconds)
        return SpanExportResult.FAILURE


def test_lost_spans_are_reported_once_a_minute_and_at_the_end(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(sdk, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setenv(ENDPOINT, COLLECTOR)
    exporter = sdk.ReportedExporter(DeadCollector())
    spans = [cast("ReadableSpan", None)] * 5
    for _ in range(20):
        exporter.export(spans)
    clock.now += sdk.REPORT_SECONDS
    exporter.export(spans)
    exporter.export(spans)
    exporter.shutdown()
    counts = [record.getMessage().split(": ")[-1] for record in caplog.records]
    assert counts == [f"at least {count} spans are lost." for count in (5, 105, 110)]
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    assert "at 127.0.0.1:4318 takes" in caplog.text
    assert "s3cr3t" not in caplog.text


def test_a_collector_that_hangs_holds_up_neither_a_request_nor_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    processor = BatchSpanProcessor(DeadCollector(60), max_queue_size=8, max_export_batch_size=4)
    provider.add_span_processor(processor)
    sdk.use(provider)
    monkeypatch.setattr(tracing, "_sdk", sdk)
    monkeypatch.setattr(tracing, "STOP_SECONDS", 0.2)
    start = time.monotonic()
    with caplog.at_level(logging.INFO, "authapp"):
        for _ in range(200):
            with sdk.server_span("GET", None, {}):
                pass
        assert time.monotonic() - start < 0.5
        tracing.stop()
    assert time.monotonic() - start < 2
