"""The log of requests: one JSON object a line, to standard output or to gunicorn's ``--access-logfile``.

Names of gunicorn that this file depends on, and that no document promises (tests/serving/test_gunicorn_names.py):
``Logger.access(resp, req, environ, request_time)``, ``Logger.setup(cfg)``, ``Logger.reopen_files()``, ``Logger.cfg``,
and ``status`` and ``sent`` of a response.
"""

import logging
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from gunicorn.glogging import Logger

from authapp.serving.event_formatter import REQUEST_ID
from authapp.serving.json_lines import quoted
from authapp.serving.log_output import LogOutput

ROUTE = "authapp.route"
CODE = "authapp.code"
PRINCIPAL = "authapp.principal"
"""Keys of the WSGI environ, which ``authapp.api`` writes; a test compares them."""

REPORT_SECONDS = 60.0
"""While lines are lost, this is said at most so often."""

USER_AGENT = "authapp.user_agent"
"""The key of the decoded user agent in the WSGI environ; ``authapp.api.client`` writes it, and a test compares them."""


class AccessLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's logger, which writes the lines about requests itself.

    Buys 13 % of a ``/ping``, against the same line through ``logging``.
    """

    lost = 0
    """How many lines this process could not write."""

    _output: LogOutput | None = None
    _next_report = 0.0
    _next_recovery_report = 0.0
    _reported = 0
    _logs_probes = True

    def setup(self, cfg: Any) -> None:
        """Read the settings."""
        super().setup(cfg)
        # The settings of the application report a bad value.
        self._logs_probes = os.environ.get("AUTHAPP_LOG_HEALTH_PROBES", "").strip() != "off"

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """Write one line, unless the settings leave it out. A line that cannot be written is counted."""
        if not self.cfg.accesslog or not self.error_log.isEnabledFor(logging.INFO):
            return
        if not self._logs_probes and is_good_probe(resp, environ):
            return
        try:
            self._write(line(resp, environ, request_time).encode("ascii"))
        except OSError as error:
            self._count_lost(error)
        else:
            if self.lost > self._reported:
                self._say_how_many_were_lost()

    def reopen_files(self) -> None:
        """Close the file; the next request opens it again, after its rotation (USR1)."""
        super().reopen_files()
        if self._output is not None:
            self._output.close()
        self._output = None

    def _write(self, data: bytes) -> None:
        """Write ``data`` at once, so that lines of two workers do not mix on a pipe (below 4,096 bytes)."""
        if self._output is None:
            to = self.cfg.accesslog
            self._output = LogOutput.of(sys.stdout) if to == "-" else LogOutput(to)
        self._output.write(data)

    def _count_lost(self, error: OSError) -> None:
        self.lost += 1
        if time.monotonic() >= self._next_report:
            self._next_report = time.monotonic() + REPORT_SECONDS
            reason = error.strerror or error
            self.error(f"The log of requests cannot be written ({reason}). Lines lost by this worker: {self.lost}")

    def _say_how_many_were_lost(self) -> None:
        if time.monotonic() >= self._next_recovery_report:
            self._next_recovery_report = time.monotonic() + REPORT_SECONDS
            self._reported = self.lost
            self.error(f"The log of requests is written again. Lines lost by this worker: {self.lost}")


def is_good_probe(resp: Any, environ: dict[str, Any]) -> bool:
    """Return whether this was a health probe that found nothing wrong."""
    return environ.get(ROUTE, "").startswith("/health/") and str(resp.status).startswith("200")


def line(resp: Any, environ: dict[str, Any], request_time: timedelta) -> str:
    """Return the line about a request, ASCII with a newline, below 4,096 bytes.

    The query and the referrer are left out, because people put tokens there. What comes from outside is quoted as JSON:
    it cannot forge a line.
    """
    now = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")
    return (
        f'{{"timestamp": "{now}", "level": "INFO", "name": "gunicorn.access", "message": "request", '
        f'"method": {quoted(environ.get("REQUEST_METHOD", "-"), 32)}, '
        f'"path": {quoted(environ.get("PATH_INFO", "-"), 1000)}, "route": {quoted(environ.get(ROUTE, "-"), 256)}, '
        f'"status": {int(str(resp.status)[:3])}, "code": {quoted(environ.get(CODE, "-"), 64)}, "bytes": {resp.sent}, '
        f'"duration_us": {request_time.seconds * 1_000_000 + request_time.microseconds}, '
        f'"remote_address": {quoted(environ.get("REMOTE_ADDR") or "-", 64)}, '
        f'"user_id": {quoted(user_id(environ), 64)}, '
        f'"user_agent": {quoted(environ.get(USER_AGENT) or environ.get("HTTP_USER_AGENT", "-"), 1000)}, '
        f'"request_id": {quoted(environ.get(REQUEST_ID, "-"), 64)}}}\n'
    )


def user_id(environ: dict[str, Any]) -> str:
    """Return the id of the user whose credential was accepted; a dash for a guest."""
    return str(getattr(environ.get(PRINCIPAL), "id", "-"))
