"""gunicorn's settings: ``gunicorn --config python:authapp.serving.settings wsgi:app``.

The command line and ``GUNICORN_CMD_ARGS`` override each of them. Names that are no settings of gunicorn are ignored.
"""

import os
from typing import Any

from authapp import logs
from authapp.serving import metrics, metrics_port, start_check
from authapp.serving.access_log import AccessLogger
from authapp.serving.worker import Worker
from authapp.shared_names import DEFAULT_PORT, DEFAULT_WORKERS


def _number_or_0(name: str) -> int:
    """Return the number in the variable, or 0. The check in ``on_starting`` reports one that cannot be used."""
    text = os.environ.get(name, "").strip()
    return int(text) if text.isdecimal() else 0


_port = _number_or_0("PORT")
bind = f"0.0.0.0:{_port}" if 0 < _port < 65_536 else f"127.0.0.1:{DEFAULT_PORT}"

# An event loop: slow clients occupy no worker and no thread, and a database that is silent stops no other request.
worker_class = Worker
workers = _number_or_0("WEB_CONCURRENCY") or DEFAULT_WORKERS
worker_connections = 1000
# For a burst of new connections: one that finds no room is tried again only after a second.
backlog = 4096
# Seconds for the next request of a connection, and for its headers.
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
# On a Unix socket it would believe everybody all the same: SCRIPT_NAME, PATH_INFO and the scheme.
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}

# A level that does not exist is reported with the other bad settings, by the check in ``on_starting``.
_level = os.environ.get("AUTHAPP_LOG_LEVEL", "").strip()
loglevel = _level.lower() if _level in logs.LEVELS else "info"
accesslog = "-"
errorlog = "-"
logger_class = AccessLogger
logconfig_dict: dict[str, Any] = logs.config(loglevel.upper())
logconfig_dict["loggers"]["gunicorn.error"] = {"level": loglevel.upper(), "handlers": ["json"], "propagate": False}

pre_fork = metrics.pre_fork
child_exit = metrics.child_exit
on_exit = metrics_port.on_exit


def on_starting(server: Any) -> None:
    """Check that the application can be loaded, before anything else."""
    start_check.on_starting(server)
    metrics_port.on_starting(server)


def post_worker_init(worker: Any) -> None:
    """Log that a worker answers from now on; "Booting worker" only says that it was started."""
    worker.log.info("Worker ready (pid: %s)", worker.pid)
