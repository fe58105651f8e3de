"""The log of requests: one JSON object a line, to standard output or to gunicorn's ``--access-logfile``.

Names of gunicorn that this file depends on, and that no document promises (tests/serving/test_gunicorn_names.py):
``Logger.access(resp, req, environ, request_time)``, ``Logger.setup(cfg)``, ``Logger.reopen_files()``, ``Logger.cfg``,
and ``status`` and ``sent`` of a response.
"""

import logging
import os
import sys
import time
from datetime import timedelta
from typing import Any

from gunicorn.glogging import Logger

from authapp.logs.json_lines import quoted, utc
from authapp.logs.output import LineWriter, LogOutput, lost_lines
from authapp.serving.known_requests import HEALTH_PROBES
from authapp.serving.problem import code_of
from authapp.shared_names import CODE, PRINCIPAL, REQUEST_ID, ROUTE, TRACE, USER_AGENT

REPORT_SECONDS = 60.0
"""At most once in this time a worker reports that lines are lost, and once that lines are written again."""


class AccessLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's logger, which writes the lines about requests itself.

    Buys 13 % of a ``/ping``, against the same line through ``logging``.
    """

    _logs_probes = True
    request_metrics: Any = None
    """Counts the requests of this worker: an ``authapp.serving.metrics.RequestMetrics``, if metrics are on."""

    def __init__(self, cfg: Any) -> None:
        """Open the log when the first line is written."""
        self._lines = LineWriter(self._open_output)
        self._next_report = dict.fromkeys((True, False), 0.0)
        super().__init__(cfg)

    def setup(self, cfg: Any) -> None:
        """Read the settings."""
        super().setup(cfg)
        # The settings of the application report a bad value.
        self._logs_probes = os.environ.get("AUTHAPP_LOG_HEALTH_PROBES", "").strip() != "off"

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """Write one line, unless the settings leave it out. A line that cannot be written is counted."""
        if "SERVER_NAME" not in environ:
            # gunicorn answers by itself, and counts that elsewhere: the application always has the name.
            environ[CODE] = code_of(int(str(resp.status)[:3]))
        elif self.request_metrics:
            self.request_metrics.record(resp, environ, request_time)
        if not self.cfg.accesslog or not self.error_log.isEnabledFor(logging.INFO):
            return
        if not self._logs_probes and is_good_probe(resp, environ):
            return
        # At once, so that lines of two workers do not mix on a pipe (below 4,096 bytes).
        is_written = self._lines.write(line(resp, environ, request_time).encode("ascii"))
        if self._lines.lost > self._lines.reported and time.monotonic() >= self._next_report[is_written]:
            self._report_lost_lines(is_written)

    def reopen_files(self) -> None:
        """Close the file; the next request opens it again, after its rotation (USR1)."""
        super().reopen_files()
        self._lines.close()

    def _open_output(self) -> LogOutput:
        to = self.cfg.accesslog
        return LogOutput.of(sys.stdout) if to == "-" else LogOutput(to)

    def _report_lost_lines(self, is_written: bool) -> None:
        self._next_report[is_written] = time.monotonic() + REPORT_SECONDS
        reason = getattr(self._lines.error, "strerror", None) or self._lines.error
        state = "is written again" if is_written else f"cannot be written ({reason})"
        self.error(f"The log of requests {state}. {lost_lines(self._lines.lost)}")
        self._lines.reported = self._lines.lost


def is_good_probe(resp: Any, environ: dict[str, Any]) -> bool:
    """Return whether this was a health probe that found nothing wrong."""
    return environ.get(ROUTE, "").startswith(HEALTH_PROBES) and str(resp.status).startswith("200")


def line(resp: Any, environ: dict[str, Any], request_time: timedelta) -> str:
    """Return the line about a request, ASCII with a newline, below 4,096 bytes.

    The query and the referrer are left out, because people put tokens there. What comes from outside is quoted as JSON:
    it cannot forge a line.
    """
    return (
        f'{{"timestamp": "{utc(time.time())}", "level": "INFO", "name": "gunicorn.access", "message": "request", '
        f'"method": {quoted(environ.get("REQUEST_METHOD", "-"), 32)}, '
        f'"path": {quoted(environ.get("PATH_INFO", "-"), 1000)}, "route": {quoted(environ.get(ROUTE, "-"), 256)}, '
        f'"status": {int(str(resp.status)[:3])}, "code": {quoted(environ.get(CODE, "-"), 64)}, "bytes": {resp.sent}, '
        f'"duration_us": {request_time.seconds * 1_000_000 + request_time.microseconds}, '
        f'"remote_address": {quoted(environ.get("REMOTE_ADDR") or "-", 64)}, '
        f'"user_id": {quoted(user_id(environ), 64)}, '
        f'"user_agent": {quoted(environ.get(USER_AGENT) or environ.get("HTTP_USER_AGENT", "-"), 1000)}, '
        f'"request_id": {quoted(environ.get(REQUEST_ID, "-"), 64)}{_trace(environ.get(TRACE))}}}\n'
    )


def _trace(ids: tuple[str, str] | None) -> str:
    return f', "trace_id": "{ids[0]}", "span_id": "{ids[1]}"' if ids else ""


def user_id(environ: dict[str, Any]) -> str:
    """Return the id of the user whose credential was accepted; a dash for a guest."""
    return str(getattr(environ.get(PRINCIPAL), "id", "-"))
