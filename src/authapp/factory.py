"""The application factory: assembly only."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask

from authapp import api
from authapp.config import Settings, SettingsError
from authapp.database import waiting
from authapp.database.connecting import DeadlinePool, Servers, connect_arguments, connector, leave_standbys
from authapp.database.pool import Pool
from authapp.domain import UseCases
from authapp.extensions import POOL, db, migrate
from authapp.security.key_files import ensure_key_file
from authapp.security.keys import InvalidKey, KeyRing

INSTANCE = Path("instance")
"""What development keeps, below the working directory."""


class Application(Flask):
    """Flask, which finds out once, and not on each request, which of its functions are coroutines."""

    @cache  # noqa: B019 - of the functions of an application, which live as long
    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``func`` as one that can be called and not awaited."""
        return super().ensure_sync(func)


def load_settings() -> Settings:
    """Read the settings from the environment. Raises ``SettingsError``, which lists every problem."""
    return Settings.from_env(
        check_keys=lambda text: list(KeyRing.problems(text)),
        development_keys=ensure_key_file,
        instance=INSTANCE.absolute(),
    )


def create_app(settings: Settings | None = None) -> Flask:
    """Return a new application, with the settings of the environment unless others are given.

    Raises ``SettingsError`` when they cannot be used.
    """
    settings = settings or load_settings()
    app = Application("authapp", static_folder=None)
    waiting.install()
    app.config.from_mapping(_database_config(settings))
    app.extensions[POOL] = _pool(settings)
    try:
        UseCases.build(settings).attach(app)
    except InvalidKey as error:
        raise SettingsError([f"AUTHAPP_JWT_KEYS: {error}"]) from None
    db.init_app(app)
    with app.app_context():
        leave_standbys(db.engine)
    migrate.init_app(app, db)
    api.init_app(app, settings)
    return app


def _database_config(settings: Settings) -> dict[str, Any]:
    return {
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": {
            "poolclass": DeadlinePool,
            "pool_size": settings.database_pool_size,
            "max_overflow": 0,
            "pool_timeout": settings.database_timeout,
            "pool_pre_ping": True,
            "pool_use_lifo": True,
            # Parameters are passwords' hashes and people's addresses: they stay out of messages and logs.
            "hide_parameters": True,
            "creator": Servers(settings.database_url, connect_arguments(settings.database_timeout)).open,
        },
    }


def _pool(settings: Settings) -> Pool:
    return Pool(
        connector(settings.database_url, connect_arguments(settings.database_timeout)),
        size=settings.database_pool_size,
        timeout=settings.database_timeout,
    )
