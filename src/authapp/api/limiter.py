"""The general rate limit on every route, by Flask-Limiter (extra ``limiter``), if a storage for it is configured."""

import math
import time
from typing import Any

from flask import Flask, Response, current_app, request
from flask_limiter import Limiter, RequestLimit
from limits.errors import ConfigurationError

from authapp.api.client import counted_address
from authapp.api.cors import is_preflight
from authapp.api.errors import render
from authapp.api.guards import is_answered_automatically
from authapp.config import Settings, SettingsError
from authapp.domain.ip_addresses import client_network
from authapp.domain.services import Services
from authapp.errors import Quota, TooManyRequests
from authapp.shared_names import EXTENSION

_SOCKET = {"socket_connect_timeout": 1, "socket_timeout": 1}
_UNIX_SOCKET = {"socket_timeout": 1}
# The connections to the sentinels take no options of the others. Their client of Redis tries ten times by default.
_SENTINEL = {**_SOCKET, "sentinel_kwargs": {**_SOCKET, "retry": None}}
_TIMEOUTS: dict[str, dict[str, Any]] = {
    "memory": {},
    **dict.fromkeys(("redis", "rediss", "redis+cluster", "valkey", "valkeys", "valkey+cluster"), _SOCKET),
    **dict.fromkeys(("redis+unix", "valkey+unix"), _UNIX_SOCKET),
    **dict.fromkeys(("redis+sentinel", "valkey+sentinel"), _SENTINEL),
    "memcached": {"connect_timeout": 1, "timeout": 1},
    "mongodb": {"serverSelectionTimeoutMS": 1000, "connectTimeoutMS": 1000, "socketTimeoutMS": 1000},
}
"""A second, as the client of each kind of storage takes it.

The clients wait without end by default, or half a minute, so that a storage that hangs would hold every request.
"""


def _general_limit() -> str:
    # Not as a request filter, which would lift the limits of their own from the routes that are not covered.
    # Nor are preflights counted: a browser would tell its page nothing of a 429.
    if _is_not_covered() or (is_preflight(request.environ) and is_answered_automatically(request)):
        return ""
    # Asked for on each request: Flask-Limiter would keep the limit of the first application in the process for all.
    general = Services.of(current_app).settings.rate_limit_default
    return f"{general.amount} per {general.seconds} second" if general else ""


def _refuse(breached: RequestLimit) -> Response | None:
    if _is_not_covered():
        return None  # of a route of the application's own
    limit, seconds = breached.limit, breached.limit.get_expiry()
    # Windows end on whole seconds, so the wait is capped: rounded up, it could be longer than the window.
    wait = max(1, min(math.ceil(breached.reset_at - time.time()), seconds))
    quota = Quota("route", limit.amount, seconds)
    return render(TooManyRequests("There were too many requests for this.", retry_after=wait, quota=quota))


limiter = Limiter(
    lambda: client_network(counted_address(request.environ)), default_limits=[_general_limit], on_breach=_refuse
)
"""Use it to limit further routes of your own: ``@limiter.limit("5/minute")``.

There is one in a process: all its applications count in the storage of the one that was made last.
"""


def init_app(app: Flask, settings: Settings) -> None:
    """Limit every covered route by client address.

    If the storage cannot be reached, each worker counts separately, so that requests are neither all refused nor
    all allowed.

    Raises ``SettingsError`` for a kind of storage whose timeouts are not known, and if its client library is not
    installed.
    """
    kind = settings.rate_limit_storage.partition(":")[0]
    if kind not in _TIMEOUTS:
        raise SettingsError([f"AUTHAPP_RATE_LIMIT_STORAGE must be of one of the kinds {', '.join(_TIMEOUTS)}."])
    app.config.update(RATELIMIT_STORAGE_URI=settings.rate_limit_storage, RATELIMIT_IN_MEMORY_FALLBACK_ENABLED=True)
    app.config["RATELIMIT_STORAGE_OPTIONS"] = _TIMEOUTS[kind] | app.config.get("RATELIMIT_STORAGE_OPTIONS", {})
    try:
        limiter.init_app(app)
    except ConfigurationError:
        raise SettingsError(
            [f"AUTHAPP_RATE_LIMIT_STORAGE needs the client of {kind}://, which is not installed: pip install {kind}."]
        ) from None


def _is_not_covered() -> bool:
    return not current_app.extensions[EXTENSION].covers(request.blueprints)
