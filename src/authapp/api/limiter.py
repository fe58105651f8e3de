"""The general rate limit on every route, by Flask-Limiter (extra ``limiter``), if a storage for it is configured."""

import math
import time

from flask import Flask, Response, current_app, request
from flask_limiter import Limiter, RateLimitExceeded
from limits.errors import ConfigurationError

from authapp.api.client import counted_ip
from authapp.api.cors import is_preflight
from authapp.api.errors import render
from authapp.api.guards import is_answered_automatically
from authapp.config import Settings, SettingsError
from authapp.domain.ip_addresses import client_network
from authapp.domain.services import EXTENSION, Services
from authapp.errors import Quota, TooManyRequests

_WITH_TIMEOUTS = ("redis://", "rediss://", "redis+cluster://", "redis+sentinel://")
_TIMEOUTS = {"socket_connect_timeout": 1, "socket_timeout": 1}
"""In seconds. The client waits without end by default, so that a storage that hangs would hold every request."""


def _general_limit() -> str:
    # Not as a request filter, which would lift the limits of their own from the routes that are not covered.
    # Nor are preflights counted: a browser would tell its page nothing of a 429.
    if _is_not_covered() or (is_preflight(request.environ) and is_answered_automatically(request)):
        return ""
    # Asked for on each request: Flask-Limiter would keep the limit of the first application in the process for all.
    general = Services.of(current_app).settings.rate_limit_default
    return f"{general.amount} per {general.seconds} second" if general else ""


limiter = Limiter(lambda: client_network(counted_ip(request.environ)), default_limits=[_general_limit])
"""Use it to limit further routes of your own: ``@limiter.limit("5/minute")``."""


def init_app(app: Flask, settings: Settings) -> None:
    """Limit every covered route by client address.

    If the storage cannot be reached, each worker counts separately, so that requests are neither all refused nor
    all allowed.

    Raises ``SettingsError`` if the client library of the storage is not installed.
    """
    app.config.update(RATELIMIT_STORAGE_URI=settings.rate_limit_storage, RATELIMIT_IN_MEMORY_FALLBACK_ENABLED=True)
    if settings.rate_limit_storage.startswith(_WITH_TIMEOUTS):
        app.config["RATELIMIT_STORAGE_OPTIONS"] = _TIMEOUTS | app.config.get("RATELIMIT_STORAGE_OPTIONS", {})
    try:
        limiter.init_app(app)
    except ConfigurationError:
        kind = settings.rate_limit_storage.partition(":")[0]
        raise SettingsError(
            [f"AUTHAPP_RATE_LIMIT_STORAGE needs the client of {kind}://, which is not installed: pip install {kind}."]
        ) from None
    app.register_error_handler(RateLimitExceeded, _render)


def _is_not_covered() -> bool:
    return not current_app.extensions[EXTENSION].covers(request.blueprints)


def _render(error: RateLimitExceeded) -> Response | RateLimitExceeded:
    if _is_not_covered():
        return error  # of a route of the application's own
    limit, window = error.limit.limit, limiter.current_limit
    # Windows end on whole seconds, so the wait is capped: rounded up, it could be longer than the window.
    wait = max(1, min(math.ceil(window.reset_at - time.time()), limit.get_expiry())) if window else limit.get_expiry()
    quota = Quota("route", limit.amount, limit.get_expiry())
    return render(TooManyRequests("There were too many requests for this.", retry_after=wait, quota=quota))
