"""Everything HTTP. This module lists all blueprints with their URL prefixes."""

from importlib import import_module
from importlib.util import find_spec

from flask import Blueprint, Flask

from authapp.api import (
    account_pages,
    address_changes,
    api_keys,
    audit_events,
    auth,
    console,
    dev_mail,
    discovery,
    docs,
    email_verifications,
    errors,
    exports,
    factors,
    forced_resets,
    forward_auth,
    guards,
    health,
    introspection,
    jwt_extended,
    login_links,
    middleware,
    oauth,
    passkeys,
    password_resets,
    ping,
    problems,
    providers,
    recovery_codes,
    registrations,
    roles,
    second_factors,
    sessions,
    step_ups,
    totp,
    users,
    verified_registrations,
)
from authapp.api.cors import AllowedOrigins
from authapp.api.paths import BASE_PATH
from authapp.config import Settings, SettingsError


def blueprints(settings: Settings) -> dict[Blueprint, str | None]:
    """Return each blueprint with its URL prefix.

    A capability whose extra is not installed, or whose settings are not given, has no routes: it is left out here. Of
    second factors, that is what adds them: accounts may have some from before, and their logins ask for them.

    Raises ``SettingsError`` if a template in ``AUTHAPP_MAIL_TEMPLATES`` cannot be used.
    """
    register = verified_registrations if settings.email_verification == "required" else registrations
    return {
        auth.blueprint: f"{BASE_PATH}/auth",
        step_ups.blueprint: f"{BASE_PATH}/auth",
        register.blueprint: f"{BASE_PATH}/auth/register",
        introspection.blueprint: f"{BASE_PATH}/auth",
        forward_auth.blueprint: f"{BASE_PATH}/auth",
        users.blueprint: f"{BASE_PATH}/users",
        api_keys.blueprint: f"{BASE_PATH}/users/me/api-keys",
        api_keys.of_users: f"{BASE_PATH}/users",
        oauth.blueprint: f"{BASE_PATH}/oauth",
        sessions.blueprint: f"{BASE_PATH}/users/me/sessions",
        audit_events.activity: f"{BASE_PATH}/users/me/activity",
        exports.blueprint: f"{BASE_PATH}/users/me/export",
        **(_of_mail(settings) if settings.mail_url else {}),
        second_factors.blueprint: f"{BASE_PATH}/auth",
        factors.blueprint: f"{BASE_PATH}/users/me/factors",
        factors.resets: f"{BASE_PATH}/users",
        recovery_codes.blueprint: f"{BASE_PATH}/users/me/recovery-codes",
        **({totp.blueprint: f"{BASE_PATH}/users/me/totp"} if settings.encryption_keys else {}),
        **(_of_passkeys(settings) if settings.origins else {}),
        **(_of_providers() if settings.providers else {}),
        roles.blueprint: f"{BASE_PATH}/roles",
        audit_events.blueprint: f"{BASE_PATH}/audit-events",
        ping.blueprint: BASE_PATH,
        health.blueprint: "/health",
        discovery.blueprint: "/.well-known",
        problems.blueprint: "/problems",
        docs.document: None,
        **({docs.page: "/docs"} if find_spec("flask_swagger_ui") else {}),
        **({account_pages.blueprint(settings): "/account"} if account_pages.are_wanted(settings) else {}),
        **({console.blueprint(settings): "/console"} if settings.console == "on" else {}),
        **({dev_mail.blueprint: "/dev/mail"} if dev_mail.is_wanted(settings) else {}),
    }


def _of_mail(settings: Settings) -> dict[Blueprint, str | None]:
    links = settings.login_links == "on"
    return {
        password_resets.blueprint: f"{BASE_PATH}/auth/password-resets",
        email_verifications.blueprint: f"{BASE_PATH}/auth/email-verifications",
        address_changes.blueprint: f"{BASE_PATH}/users/me/email",
        forced_resets.blueprint: f"{BASE_PATH}/users",
        **({login_links.blueprint: f"{BASE_PATH}/auth/login-links"} if links else {}),
    }


def _of_passkeys(settings: Settings) -> dict[Blueprint, str | None]:
    return {
        passkeys.blueprint: f"{BASE_PATH}/users/me/passkeys",
        passkeys.logins: f"{BASE_PATH}/auth",
        **({passkeys.related_origins: "/.well-known"} if passkeys.has_related_origins(settings) else {}),
    }


def _of_providers() -> dict[Blueprint, str | None]:
    return {
        providers.blueprint: f"{BASE_PATH}/auth/providers",
        providers.links: f"{BASE_PATH}/users/me/providers",
    }


def init_app(app: Flask, settings: Settings, origins: AllowedOrigins, *, cover_all: bool) -> None:
    """Install the middleware, error handlers, token loaders, rate limits and guards in ``app``.

    Pages of ``origins`` may use the API. With ``cover_all``, every route is covered. Raises ``SettingsError`` if a
    setting needs a package that is missing.
    """
    middleware.init_app(app, origins, cover_all=cover_all)
    errors.init_app(app, cover_all=cover_all)
    jwt_extended.init_app(app)
    if settings.rate_limit_storage:
        if find_spec("flask_limiter") is None:
            raise SettingsError(["AUTHAPP_RATE_LIMIT_STORAGE needs Flask-Limiter: pip install 'authapp[limiter]'."])
        import_module("authapp.api.limiter").init_app(app, settings)
    guards.init_app(app)
