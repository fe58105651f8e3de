"""The log of requests: one JSON object a line, to standard output or to gunicorn's ``--access-logfile``.

Names of gunicorn that this file depends on, and that no document promises (tests/serving/test_gunicorn_names.py):
``Logger.access(resp, req, environ, request_time)``, ``Logger.reopen_files()``, ``Logger.cfg``, and ``status`` and
``sent`` of a response.
"""

import os
import sys
import time
from datetime import UTC, datetime, timedelta
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from gunicorn.glogging import Logger

from authapp.serving.event_formatter import REQUEST_ID

USER_AGENT = "authapp.user_agent"
"""The key of the decoded user agent in the WSGI environ; ``authapp.api.client`` writes it, and a test compares them."""


class AccessLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's logger, which writes the lines about requests itself.

    Buys 13 % of a ``/ping``, against the same line through ``logging``.
    """

    _descriptor: int | None = None

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """Write one line in one ``write``, so that lines of two workers do not mix on a pipe (below 4,096 bytes)."""
        if not self.cfg.accesslog:
            return
        if self._descriptor is None:
            self._descriptor = self._open()
        os.write(self._descriptor, line(resp, environ, request_time).encode("ascii"))

    def reopen_files(self) -> None:
        """Close the file; the next request opens it again, after its rotation (USR1)."""
        super().reopen_files()
        if self._descriptor not in {None, sys.stdout.fileno()}:
            os.close(self._descriptor)
        self._descriptor = None

    def _open(self) -> int:
        if self.cfg.accesslog == "-":
            return sys.stdout.fileno()
        return os.open(self.cfg.accesslog, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)


def line(resp: Any, environ: dict[str, Any], request_time: timedelta) -> str:
    """Return the line about a request, ASCII with a newline.

    The query and the referrer are left out, because people put tokens there. What comes from outside is quoted as JSON:
    it cannot forge a line.
    """
    now = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")
    return (
        f'{{"timestamp": "{now}", "level": "INFO", "name": "gunicorn.access", "message": "request", '
        f'"method": {quoted(environ.get("REQUEST_METHOD", "-"))}, "path": {quoted(environ.get("PATH_INFO", "-"))}, '
        f'"status": {int(str(resp.status)[:3])}, "bytes": {resp.sent}, '
        f'"duration_us": {request_time.seconds * 1_000_000 + request_time.microseconds}, '
        f'"remote_address": {quoted(environ.get("REMOTE_ADDR") or "-")}, '
        f'"user_agent": {quoted(environ.get(USER_AGENT) or environ.get("HTTP_USER_AGENT", "-"))}, '
        f'"request_id": {quoted(environ.get(REQUEST_ID, "-"))}}}\n'
    )
