"""How authapp is served. Everything here can be overridden by gunicorn's command line."""

import http
import json
import logging
import os
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from typing import Any, ClassVar

import gunicorn.util
from flask import g, has_request_context
from pythonjsonlogger.json import JsonFormatter

# Slow clients must not hold a whole worker each, so each has threads; the requests of one wait for the database
# together. There are as many connections as threads, so that no request waits for one.
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = 8
backlog = 1024
keepalive = 5

timeout = 30
graceful_timeout = 30
max_requests = 0

limit_request_line = 4094
limit_request_fields = 100
limit_request_field_size = 8190

# The control socket has one shared default path: two instances on one host would fight over it.
control_socket_disable = True

# The application trusts proxies by AUTHAPP_TRUSTED_PROXIES alone; gunicorn itself believes none.
forwarded_allow_ips = ""

# A level that does not exist is named with the other bad settings, when the application is tried (on_starting).
_level = os.environ.get("AUTHAPP_LOG_LEVEL", "").strip()
loglevel = _level.lower() if _level in {"DEBUG", "INFO", "WARNING", "ERROR"} else "info"
accesslog = "-"
errorlog = "-"


class EventFormatter(JsonFormatter):
    """One JSON object a line, whatever the message holds: input cannot forge a line."""

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Say when, how grave, who, what, and for which request."""
        super().add_fields(log_data, record, message_dict)
        if record.name == "gunicorn.error" and record.getMessage().startswith("Invalid request from "):
            # What follows is the client's, verbatim: a broken request line may hold a token, a header a password.
            log_data["message"] = record.getMessage().partition("'")[0].rstrip(": ")
        log_data["timestamp"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        log_data["level"] = record.levelname
        if has_request_context():
            log_data["request_id"] = g.get("request_id")


class AccessFormatter(EventFormatter):
    """One request a line. The query and the referrer are left out: people put tokens there."""

    FIELDS: ClassVar = {
        "method": "m",
        "path": "U",
        "status": "s",
        "bytes": "B",
        "duration_us": "D",
        "remote_address": "h",
        "user_agent": "a",
        "request_id": "{x-request-id}o",
    }

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, from the atoms that gunicorn hands over."""
        atoms = record.args
        if not isinstance(atoms, dict):
            return super().format(record)
        numbers = {"status", "bytes", "duration_us"}
        event: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        }
        event |= {"level": record.levelname, "name": record.name, "message": "request"}
        for field, atom in self.FIELDS.items():
            value = atoms[atom]
            event[field] = int(value) if field in numbers and str(value).isdecimal() else value
        return json.dumps(event)


logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "event": {"()": EventFormatter, "fmt": ["level", "name", "message"]},
        "access": {"()": AccessFormatter},
    },
    "handlers": {
        "event": {"class": "logging.StreamHandler", "formatter": "event", "stream": "ext://sys.stderr"},
        "access": {"class": "logging.StreamHandler", "formatter": "access", "stream": "ext://sys.stdout"},
    },
    "root": {"level": loglevel.upper(), "handlers": ["event"]},
    "loggers": {
        "alembic": {"level": "WARNING"},
        "gunicorn.error": {"level": loglevel.upper(), "handlers": ["event"], "propagate": False},
        "gunicorn.access": {"level": "INFO", "handlers": ["access"], "propagate": False},
    },
}


def on_starting(server: Any) -> None:
    """Refuse bad settings at the start and at each reload, once and readably, instead of once a worker.

    On HUP, gunicorn lets the old workers go before the new ones have started, and tries for ever when those cannot
    start: a mistake in a key file would end the service. With this, the old workers serve on.
    """
    if not _settings_can_be_used():
        sys.exit(1)
    reload = server.reload

    def reload_if_it_can_be_served() -> None:
        if _settings_can_be_used():
            reload()
        else:
            server.log.error("Nothing is reloaded: with these settings no worker could start. The old ones serve on.")

    # The hook on_reload comes too late to say no: all it could do is stop the server.
    server.reload = reload_if_it_can_be_served


def post_worker_init(worker: Any) -> None:
    """Note that a worker answers from now on; "Booting worker" only said that it was started."""
    worker.log.info("Worker ready (pid: %s)", worker.pid)


def _settings_can_be_used() -> bool:
    """Try them in another process: what the master imported, no reload could replace.

    The exit status is not asked: gunicorn's handler of SIGCHLD may collect the process first, and to ``subprocess`` a
    process that somebody else has collected looks like one that went well.
    """
    trial = [sys.executable, "-c", "import wsgi; print('usable')"]
    outcome = subprocess.run(trial, check=False, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own words
    return outcome.stdout.endswith("usable\n")


def _write_problem(sock: Any, status: int, reason: str, _message: str) -> None:
    """Answer what gunicorn cannot even parse in the same shape as everything else, instead of in HTML."""
    mistake = status < 500 or status == http.HTTPStatus.NOT_IMPLEMENTED
    if mistake:  # gunicorn tells a dozen of them apart; to clients they are one, with one code
        status, reason = 400, "Bad Request"
    code = "malformed_request" if mistake else "internal_error"
    title = "The request cannot be read." if mistake else "Something went wrong on the server."
    request_id = str(uuid.uuid4())  # noqa: TID251 - the application is not there to ask
    problem = {"type": f"/problems/{code}", "title": title, "status": status, "code": code, "detail": title}
    body = json.dumps({**problem, "instance": "/", "request_id": request_id})
    head = [
        f"HTTP/1.1 {status} {reason}",
        "Connection: close",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        f"X-Request-ID: {request_id}",
    ]
    gunicorn.util.write_nonblock(sock, "\r\n".join([*head, "", body]).encode("ascii"))


gunicorn.util.write_error = _write_problem
