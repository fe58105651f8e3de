"""The log format: one JSON object a line."""

import logging
import sys
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from authapp.logs.json_lines import fitted, utc
from authapp.shared_names import REQUEST_ID


class LogFormatter(JsonFormatter):
    """Formats a record as one JSON object on one line; escaping keeps input from forging a second line."""

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Add the timestamp (UTC, milliseconds), the level, and the ids of the request and the span."""
        super().add_fields(log_data, record, message_dict)
        log_data["timestamp"] = utc(record.created)
        log_data["level"] = record.levelname
        flask = sys.modules.get("flask")
        if flask is not None and flask.has_request_context() and REQUEST_ID in flask.request.environ:
            log_data["request_id"] = flask.request.environ[REQUEST_ID]
        opentelemetry = sys.modules.get("opentelemetry.trace")
        if opentelemetry is not None:
            context = opentelemetry.get_current_span().get_span_context()
            if context.is_valid:
                log_data |= {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        """Return the object, short enough for lines of several workers not to mix; a traceback loses its middle."""
        return fitted(log_data, super().jsonify_log_record)
