"""Traces by OpenTelemetry, made if ``OTEL_EXPORTER_OTLP_ENDPOINT`` names a collector. Else, nothing of it is loaded.

- ``sdk``: what makes spans and sends them, loaded by ``start``; it needs the extra ``otel``

No span holds what a client sent or what a database row holds: no path, query, header, address, parameter or message of
an error. Names and attributes come from the code and the settings (docs/traces.md lists them).
"""

import importlib
import logging
import os
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any
from urllib.parse import urlsplit

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
SAMPLERS = frozenset({"always_on", "always_off", "traceidratio"})

STOP_SECONDS = 3.0
"""How long a process that stops tries to send its last spans."""

Attributes = Mapping[str, str | int]

logger = logging.getLogger(__name__)


class _NoSpan:
    """Stands for a span where none is made."""

    def set_attribute(self, _name: str, _value: str | int) -> None:
        """Do nothing."""


_NO_SPAN = nullcontext(_NoSpan())
_sdk: Any = None
"""The module ``authapp.tracing.sdk`` while traces are made."""


def endpoint() -> str | None:
    """Return the address of the collector as it is set; ``None`` means that no traces are wanted."""
    if _variable("OTEL_SDK_DISABLED").lower() == "true" or _variable("OTEL_TRACES_EXPORTER") == "none":
        return None
    return next(filter(None, map(_variable, ENDPOINTS)), None)


def collector() -> str:
    """Return the host and the port of the endpoint, without what else may be in its address, such as a password."""
    try:
        url = urlsplit(endpoint() or "")
        return f"{url.hostname}:{url.port}" if url.port else str(url.hostname)
    except ValueError:
        return "an address that is none"


def configuration_problem() -> str | None:
    """Return why there are no traces although an endpoint is set, and what to do; ``None`` if all is well."""
    if endpoint() is None:
        return None
    try:
        distribution("opentelemetry-exporter-otlp-proto-http")
    except PackageNotFoundError:
        return "OpenTelemetry is not installed. Install authapp[otel], or set OTEL_SDK_DISABLED=true."
    if _variable("OTEL_TRACES_EXPORTER") not in {"", "otlp"}:
        return "OTEL_TRACES_EXPORTER must be otlp or none."
    if next(filter(None, map(_variable, PROTOCOLS)), "http/protobuf") != "http/protobuf":
        return "OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf, which collectors take at port 4318."
    if not re.match("https?://[^/]", endpoint() or ""):
        return "OTEL_EXPORTER_OTLP_ENDPOINT must be an http or https address, such as http://127.0.0.1:4318."
    sampler = _variable("OTEL_TRACES_SAMPLER").lower().removeprefix("parentbased_")
    if sampler not in SAMPLERS | {""}:
        return f"OTEL_TRACES_SAMPLER must be one of {', '.join(sorted(SAMPLERS))}, or one of them after parentbased_."
    if sampler == "traceidratio" and not _is_ratio(_variable("OTEL_TRACES_SAMPLER_ARG") or "1"):
        return "OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1."
    return None


def start() -> bool:
    """Make traces in this process from now on, if the settings say so, and return whether they are made.

    Call it after a fork, before connections to the database are opened. A problem is logged and stops nothing: the
    service matters more than its traces.
    """
    global _sdk  # noqa: PLW0603 - it is the process that makes traces or not
    if endpoint() is None:
        return False
    why = configuration_problem()
    if why is None:
        try:
            sdk = importlib.import_module("authapp.tracing.sdk")
            sdk.start()
        except Exception as error:  # noqa: BLE001 - whatever a variable of OpenTelemetry brings about
            # Not the message, which may quote a header with a password.
            why = f"OpenTelemetry does not accept a variable OTEL_* ({type(error).__name__})."
        else:
            _sdk = sdk
            return True
    logger.error("No traces are made, although an endpoint for them is set: %s", why)
    return False


def stop() -> None:
    """Send the spans that wait, for ``STOP_SECONDS`` at most, and make no more."""
    global _sdk
    if _sdk is not None:
        sdk, _sdk = _sdk, None
        sdk.stop(STOP_SECONDS)


def is_on() -> bool:
    """Return whether this process makes traces."""
    return _sdk is not None


def span(name: str, attributes: Attributes | None = None) -> AbstractContextManager[Any]:
    """Return a context that is a span of a project's own work, within the current one; without one, it begins a trace.

    It yields an object with ``set_attribute(name, value)``. Put nothing there that a client sent: those who read traces
    are others than those who may read the data. An exception is recorded by its type.
    """
    return _NO_SPAN if _sdk is None else _sdk.span(name, attributes or {})


def client_span(name: str, attributes: Attributes) -> AbstractContextManager[Any]:
    """Return a context that is a span of a request to another server, within the span that is current.

    Without a current span that is sampled, there is none. It yields an object with ``set_attribute(name, value)``. An
    exception is recorded by its type.
    """
    return _NO_SPAN if _sdk is None else _sdk.client_span(name, attributes)


def continued_span(name: str, traceparent: str | None, attributes: Attributes) -> AbstractContextManager[Any]:
    """Return a context that is a span of work that the request of ``traceparent`` has left for later, if any did."""
    return _NO_SPAN if _sdk is None else _sdk.continued_span(name, traceparent, attributes)


def traceparent() -> str | None:
    """Return the current span in W3C's format, for ``continued_span``; ``None`` if there is none that is sampled."""
    return None if _sdk is None else _sdk.traceparent()


def _variable(name: str) -> str:
    return os.environ.get(name, "").strip()


def _is_ratio(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False
