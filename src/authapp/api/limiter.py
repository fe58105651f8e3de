"""The general rate limit on every route, by Flask-Limiter (extra ``limiter``), if a storage for it is configured."""

import math
import time

from flask import Flask, Response, current_app, request
from flask_limiter import Limiter, RequestLimit
from limits.errors import ConfigurationError

from authapp.api.client import counted_address
from authapp.api.cors import is_preflight
from authapp.api.errors import render
from authapp.api.guards import is_answered_automatically
from authapp.api.middleware import cover
from authapp.config import Settings, SettingsError
from authapp.config.rate_limit_storages import client_timeouts
from authapp.domain.ip_addresses import client_network
from authapp.domain.services import Services
from authapp.errors import Quota, TooManyRequests
from authapp.shared_names import EXTENSION


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
    # It comes before the guard, which marks other requests: the headers of all answers are of this one, too.
    cover(request.environ)
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

    Raises ``SettingsError`` for an address of no known kind, and if the client library of its kind is not installed.
    """
    address = settings.rate_limit_storage
    try:
        options = client_timeouts(address)
    except ValueError as error:
        raise SettingsError([f"AUTHAPP_RATE_LIMIT_STORAGE {error}"]) from None
    app.config.update(RATELIMIT_STORAGE_URI=address, RATELIMIT_IN_MEMORY_FALLBACK_ENABLED=True)
    app.config["RATELIMIT_STORAGE_OPTIONS"] = options | app.config.get("RATELIMIT_STORAGE_OPTIONS", {})
    try:
        limiter.init_app(app)
    except ConfigurationError:
        kind = address.partition(":")[0]
        raise SettingsError(
            [f"AUTHAPP_RATE_LIMIT_STORAGE needs the client of {kind}://, which is not installed: pip install {kind}."]
        ) from None


def _is_not_covered() -> bool:
    return not current_app.extensions[EXTENSION].covers(request.blueprints)
