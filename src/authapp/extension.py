"""The Flask extension: settings become services, blueprints, commands and handlers of one application."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask

from authapp import api, cli
from authapp.api.authenticate import Authenticator, BearerJWT
from authapp.api.bearer_api_keys import BearerApiKey
from authapp.api.cors import AllowedOrigins
from authapp.api.openapi import Blueprint as DocumentedBlueprint
from authapp.api.openapi import OpenAPIDocument, new_document
from authapp.api.requirements import Requirement, SecondFactorOfRole
from authapp.api.token_kinds import ApiKeyKind, JWTKind, TokenKind
from authapp.api.trusted_proxies import TrustedProxies
from authapp.cli import migrations
from authapp.cli.checks.settings import TRUSTS_PROXIES
from authapp.cli.commands import SETTINGS_ERROR
from authapp.config import Settings, SettingsError
from authapp.context import RequestContext
from authapp.database import wait_callback
from authapp.database.connect import DeadlinePool, Servers, connect_arguments, connector, watch_errors
from authapp.database.fast_path import FastPath
from authapp.database.migrations import MigrationFolder
from authapp.database.orphaned_backends import OrphanedBackends
from authapp.database.session import db, discard
from authapp.database.session_settings import TRANSACTION_ISOLATION
from authapp.domain.api_keys.expiry_warnings import ExpiryWarnings
from authapp.domain.api_keys.usage import ApiKeyUsage
from authapp.domain.email.link_confirmations import LinkConfirmation
from authapp.domain.mail.sender import MailSender
from authapp.domain.providers.kinds import provider_kinds
from authapp.domain.services import Services
from authapp.security.encryption_keys import EncryptionKeys
from authapp.security.key_files import ensure_encryption_key_file, ensure_key_file
from authapp.security.keys import InvalidKey, KeyRing, kids_in
from authapp.shared_names import EXTENSION

BackgroundTask = Callable[[Callable[[], bool]], None]
"""Takes a function that tells whether the worker still runs, and returns soon after it does not."""

INSTANCE = Path("instance")
"""What development keeps, below the working directory."""


class AuthApp:
    """authapp in a Flask application of yours: ``AuthApp(app)``, or ``init_app`` later.

    Its guards, error handlers, headers and deadline concern its own blueprints and those that you register with
    ``register_blueprint``; the rest of the application is yours alone. ``create_app`` makes an application in which
    they concern everything.

    ``authenticators`` is the ordered list of ways to prove who makes a request, the last of which takes every bearer
    token that is left; add your own before it. ``token_kinds`` are the kinds of tokens that other services introspect,
    of which the last one takes all that is left, too. ``requirements`` are
    conditions on the principal of every covered route that is not public. ``background`` are tasks that each worker of
    ``authapp.serving`` runs beside its requests. ``services`` holds the use cases. Pages of ``allowed_origins`` may use
    what it covers (CORS).
    """

    services: Services
    allowed_origins: AllowedOrigins
    openapi: OpenAPIDocument

    def __init__(self, app: Flask | None = None, settings: Settings | None = None) -> None:
        """Take the application, and the settings; without these they are read from the environment.

        Raises ``SettingsError`` as ``init_app`` does.
        """
        self.authenticators: list[Authenticator] = [BearerApiKey(), BearerJWT()]
        self.token_kinds: list[TokenKind] = [ApiKeyKind(), JWTKind()]
        self.requirements: list[Requirement] = []
        self.background: list[BackgroundTask] = []
        self._covered: set[str] = set()
        self._cover_all = False
        if app is not None:
            self.init_app(app, settings)

    def init_app(self, app: Flask, settings: Settings | None = None, *, cover_all: bool = False) -> None:
        """Bind to ``app``. With ``cover_all``, every route of it is locked unless it is marked ``public``.

        Raises ``SettingsError`` when the settings cannot be used, and ``RuntimeError`` when the application has a
        Flask-SQLAlchemy of its own, or this object has an application already. While the ``flask`` command looks for
        its commands, bad settings are no error: the application gets the commands and nothing else, and those that
        need settings end with the message.
        """
        if "sqlalchemy" in app.extensions and app.extensions["sqlalchemy"] is not db:
            raise RuntimeError(
                "This application has a Flask-SQLAlchemy instance already. Use authapp's: from authapp import db, and"
                " declare your tables on it."
            )
        if hasattr(self, "_app"):
            raise RuntimeError("This AuthApp has an application already. Each application needs an AuthApp of its own.")
        self._app, self._cover_all = app, cover_all
        app.extensions[EXTENSION] = self
        cli.init_app(app)
        folders = migrations.init_app(app)
        try:
            settings = settings or load_settings()
            self.services = _build_services(app, settings, folders)
            self.allowed_origins = AllowedOrigins(settings.cors_origins or ())
            api.init_app(app, settings, self.allowed_origins, cover_all=cover_all)
            blueprints = api.blueprints(settings)
        except SettingsError as error:
            cli.without_settings(app, error)
            return
        if roles := settings.second_factor_required_roles:
            self.requirements.append(SecondFactorOfRole(roles))
        self.background += _background_tasks(app, self.services)
        if cover_all:
            _set_log_level_and_proxies(app, settings)
        self.openapi = new_document(app)
        for blueprint, prefix in blueprints.items():
            self.register_blueprint(blueprint, url_prefix=prefix)

    @classmethod
    def of(cls, app: Flask) -> "AuthApp":
        """Return the extension of ``app``. Raises ``KeyError`` when it has none."""
        extension: AuthApp = app.extensions[EXTENSION]
        return extension

    def register_blueprint(self, blueprint: Blueprint, **options: Any) -> None:
        """Register a blueprint of yours as locked: its views need an access token unless they are marked.

        One made with ``authapp.Blueprint`` appears in the OpenAPI document. ``options`` are Flask's, such as
        ``url_prefix``.
        """
        if SETTINGS_ERROR in self._app.extensions:
            return
        before = set(self._app.blueprints)
        if isinstance(blueprint, DocumentedBlueprint):
            self.openapi.register_blueprint(blueprint, **options)
        else:
            self._app.register_blueprint(blueprint, **options)
        # By the names under which Flask has it, which options such as ``name_prefix`` change.
        for name in self._app.blueprints.keys() - before:
            self._covered.add(name)
            api.errors.cover(self._app, name)

    def register_link_confirmation(self, use_case: LinkConfirmation) -> None:
        """Let ``PUT /auth/email-verifications`` confirm the links of a purpose of yours with this use case.

        Raises ``KeyError`` for a purpose that is not registered, and ``ValueError`` for one that has a use case.
        """
        if SETTINGS_ERROR not in self._app.extensions:
            self.services.email.link_confirmations.add(use_case)

    def covers(self, blueprints: Sequence[str]) -> bool:
        """Tell whether a request to a view of these blueprints, innermost first, is for authapp to guard and answer."""
        return self._cover_all or not self._covered.isdisjoint(blueprints)

    def close_connections(self) -> None:
        """Close every idle connection to the database; in an application context."""
        self.services.fast_path.clear()
        for engine in db.engines.values():
            engine.dispose()


def _set_log_level_and_proxies(app: Flask, settings: Settings) -> None:
    """Set the log level and the trusted proxies. In an application with other routes, its own code does that."""
    app.logger.setLevel(settings.log_level)
    app.extensions[TRUSTS_PROXIES] = True
    app.wsgi_app = TrustedProxies(app.wsgi_app, settings.trusted_proxies)  # type: ignore[method-assign]  # as Flask documents it


def _background_tasks(app: Flask, services: Services) -> list[BackgroundTask]:
    tasks: list[BackgroundTask] = [ApiKeyUsage(services.used_api_keys, app.app_context).write_while]
    if services.mail.delivery is None:
        return tasks
    tasks.append(ExpiryWarnings(app.app_context).store_while)
    if services.settings.mail_sender == "workers":
        context = RequestContext(ip_address=None, user_agent=None, request_id=None, principal=None)
        tasks.append(partial(MailSender(services.mail.delivery, app.app_context).send_while, context=context))
    return tasks


def load_settings() -> Settings:
    """Read the settings from the environment. Raises ``SettingsError``, which lists every problem."""
    return Settings.from_env(
        check_keys=lambda text: list(KeyRing.problems(text)),
        check_encryption_keys=lambda text, jwt_keys: list(EncryptionKeys.problems(text, reserved=kids_in(jwt_keys))),
        development_keys={"jwt_keys": ensure_key_file, "encryption_keys": ensure_encryption_key_file},
        instance=INSTANCE.absolute(),
    )


def _build_services(app: Flask, settings: Settings, folders: Sequence[MigrationFolder]) -> Services:
    """Return the use cases on the database of ``settings``, to which ``app`` is bound."""
    wait_callback.install()
    if unknown := {each.kind for each in (settings.providers or {}).values()} - set(provider_kinds):
        raise SettingsError([f"AUTHAPP_PROVIDERS names kinds that are not registered: {', '.join(sorted(unknown))}."])
    arguments = connect_arguments(settings.database_timeout)
    orphaned = OrphanedBackends(settings.database_timeout, enabled=settings.end_orphaned_backends == "on")
    fast_path = FastPath(
        connector(settings.database_url, arguments),
        orphaned,
        size=settings.database_pool_size,
        timeout=settings.database_timeout,
    )
    try:
        services = Services.build(settings, fast_path, app, folders)
    except InvalidKey as error:
        raise SettingsError([str(error)]) from None
    services.connect(app)
    _bind_database(app, _database_config(settings, arguments), orphaned)
    return services


def _bind_database(app: Flask, config: dict[str, Any], orphaned: OrphanedBackends) -> None:
    app.config.from_mapping(config)
    db.init_app(app)
    # Registered after Flask-SQLAlchemy's own, and so called before it, which then finds nothing to close.
    app.teardown_appcontext(lambda _error: discard())
    with app.app_context():
        watch_errors(db.engine, orphaned)


def _database_config(settings: Settings, arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": {
            "poolclass": DeadlinePool,
            "pool_size": settings.database_pool_size,
            "max_overflow": 0,
            "isolation_level": TRANSACTION_ISOLATION,
            "pool_timeout": settings.database_timeout,
            "pool_pre_ping": True,
            "pool_use_lifo": True,
            # Parameters are passwords' hashes and people's addresses: they stay out of messages and logs.
            "hide_parameters": True,
            "creator": Servers(settings.database_url, arguments).open,
        },
    }
