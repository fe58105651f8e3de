"""The application factory: assembly only."""

from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy.pool import QueuePool

from authapp import api
from authapp.config import Settings, SettingsError
from authapp.domain import UseCases
from authapp.extensions import READS, db, migrate
from authapp.security.key_files import ensure_key_file
from authapp.security.keys import InvalidKey, KeyRing

INSTANCE = Path("instance")
"""What development keeps, below the working directory."""


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
    app = Flask("authapp", static_folder=None)
    app.config.from_mapping(_database_config(settings))
    try:
        UseCases.build(settings).attach(app)
    except InvalidKey as error:
        raise SettingsError([f"AUTHAPP_JWT_KEYS: {error}"]) from None
    db.init_app(app)
    migrate.init_app(app, db)
    api.init_app(app, settings)
    return app


def _database_config(settings: Settings) -> dict[str, Any]:
    deadline_ms = int(settings.database_timeout * 1000)
    engine = {
        "poolclass": QueuePool,
        "pool_size": settings.database_pool_size,
        "max_overflow": 0,
        "pool_timeout": settings.database_timeout,
        # Parameters are passwords' hashes and people's addresses: they stay out of messages and logs.
        "hide_parameters": True,
        "connect_args": {
            "application_name": "authapp",
            "connect_timeout": max(1, int(settings.database_timeout)),
            "tcp_user_timeout": deadline_ms,
            "options": f"-c statement_timeout={deadline_ms} -c lock_timeout={deadline_ms}"
            f" -c idle_in_transaction_session_timeout=60000 -c timezone=UTC",
        },
    }
    reads = {
        **engine,
        "url": settings.database_url,
        "isolation_level": "AUTOCOMMIT",
        "pool_reset_on_return": None,
    }
    return {
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": {**engine, "pool_pre_ping": True},
        "SQLALCHEMY_BINDS": {READS: reads},
    }
