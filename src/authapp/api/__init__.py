"""Everything HTTP. This is the map: every blueprint on one screen."""

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from authapp.api import (
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
    sessions,
    users,
)
from authapp.api.openapi import publish
from authapp.api.paths import BASE_PATH
from authapp.config import Settings

BLUEPRINTS = {
    auth.blueprint: f"{BASE_PATH}/auth",
    inspection.blueprint: f"{BASE_PATH}/auth",
    users.blueprint: f"{BASE_PATH}/users",
    sessions.blueprint: f"{BASE_PATH}/users/me/sessions",
    ops.private: BASE_PATH,
    ops.health: "/health",
    discovery.blueprint: "/.well-known",
    problems.blueprint: "/problems",
}
"""What the OpenAPI document describes."""


def init_app(app: Flask, settings: Settings) -> None:
    """Give ``app`` its routes, and what stands before and behind every route."""
    app.logger.setLevel(settings.log_level)
    app.config["MAX_CONTENT_LENGTH"] = bodies.MAX_BYTES + 1  # one more than is allowed, to tell what is too much
    app.json.sort_keys = False  # type: ignore[attr-defined]  # fields come in the order that the contract lists them
    # A redirect to a tidier path would be one more answer that is not problem+json; such a path is simply not there.
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    headers.init_app(app)
    errors.init_app(app)
    bearer.init_app(app)
    guards.init_app(app)
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    publish(app, BLUEPRINTS)
    app.register_blueprint(docs.blueprint)
