"""Everything HTTP. This is the map: every blueprint on one screen."""

from flask import Flask, request
from limits.errors import ConfigurationError
from werkzeug.middleware.proxy_fix import ProxyFix

from authapp.api import (
    audit_events,
    auth,
    bearer,
    bodies,
    discovery,
    docs,
    errors,
    guards,
    headers,
    inspection,
    ops,
    problems,
    roles,
    sessions,
    users,
)
from authapp.api.openapi import publish
from authapp.api.paths import BASE_PATH
from authapp.config import Settings, SettingsError
from authapp.database import deadline
from authapp.domain.address_limits import client_network
from authapp.extensions import limiter

BLUEPRINTS = {
    auth.blueprint: f"{BASE_PATH}/auth",
    inspection.blueprint: f"{BASE_PATH}/auth",
    users.blueprint: f"{BASE_PATH}/users",
    sessions.blueprint: f"{BASE_PATH}/users/me/sessions",
    audit_events.activity: f"{BASE_PATH}/users/me/activity",
    roles.blueprint: f"{BASE_PATH}/roles",
    audit_events.blueprint: f"{BASE_PATH}/audit-events",
    ops.private: BASE_PATH,
    ops.health: "/health",
    discovery.blueprint: "/.well-known",
    problems.blueprint: "/problems",
}
"""What the OpenAPI document describes."""


def _limit_generally(app: Flask, settings: Settings) -> None:
    """Limit every route by address with Flask-Limiter, and let blueprints set limits of their own.

    When its storage cannot be reached each worker counts for itself, rather than let nobody in, or everybody.

    Raises ``SettingsError`` when the storage's client is not installed.
    """
    general = settings.rate_limit_default
    app.config.update(
        RATELIMIT_STORAGE_URI=settings.rate_limit_storage,
        RATELIMIT_DEFAULT=f"{general.amount} per {general.seconds} second" if general else None,
        RATELIMIT_KEY_FUNC=lambda: client_network(request.remote_addr),
        RATELIMIT_IN_MEMORY_FALLBACK_ENABLED=True,
    )
    try:
        limiter.init_app(app)
    except ConfigurationError:
        kind = settings.rate_limit_storage.partition(":")[0]
        raise SettingsError(
            [f"AUTHAPP_RATE_LIMIT_STORAGE needs the client of {kind}://, which is not installed: pip install {kind}."]
        ) from None


def init_app(app: Flask, settings: Settings) -> None:
    """Give ``app`` its routes, and what stands before and behind every route."""
    app.logger.setLevel(settings.log_level)
    app.config["MAX_CONTENT_LENGTH"] = bodies.MAX_BYTES + 1  # one more than is allowed, to tell what is too much
    app.json.sort_keys = False  # type: ignore[attr-defined]  # fields come in the order that the contract lists them
    # A redirect to a tidier path would be one more answer that is not problem+json; such a path is simply not there.
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    app.wsgi_app = deadline.Bounded(app.wsgi_app, settings.database_timeout)  # type: ignore[method-assign]
    headers.init_app(app)
    errors.init_app(app)
    bearer.init_app(app)
    if settings.rate_limit_storage:
        _limit_generally(app, settings)
    guards.init_app(app)
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    publish(app, BLUEPRINTS)
    app.register_blueprint(docs.blueprint)
