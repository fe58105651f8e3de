"""authapp: accounts and tokens over JSON, where a logged-out token is dead at once."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from authapp.api.authenticate import Authenticator, current_principal
    from authapp.api.context import request_context
    from authapp.api.guards import fresh, limited, public, requires
    from authapp.api.openapi import Blueprint, refuses
    from authapp.cli.alembic_env import run_project_migrations
    from authapp.config import RateLimit, Settings, SettingsError, rate_limits
    from authapp.context import OPERATOR, Principal, RequestContext
    from authapp.database.session import db, transaction
    from authapp.domain import audit, hooks
    from authapp.domain.audit import event_types
    from authapp.domain.passwords.checks import password_checks
    from authapp.domain.roles.permissions import permissions
    from authapp.domain.services import Services
    from authapp.domain.sessions.token_claims import token_claims
    from authapp.extension import AuthApp
    from authapp.factory import create_app

__all__ = [
    "OPERATOR",
    "AuthApp",
    "Authenticator",
    "Blueprint",
    "Principal",
    "RateLimit",
    "RequestContext",
    "Services",
    "Settings",
    "SettingsError",
    "audit",
    "create_app",
    "current_principal",
    "db",
    "event_types",
    "fresh",
    "hooks",
    "limited",
    "password_checks",
    "permissions",
    "public",
    "rate_limits",
    "refuses",
    "request_context",
    "requires",
    "run_project_migrations",
    "token_claims",
    "transaction",
]

_MODULES = {
    "authapp.api.authenticate": ["Authenticator", "current_principal"],
    "authapp.api.context": ["request_context"],
    "authapp.api.guards": ["fresh", "limited", "public", "requires"],
    "authapp.api.openapi": ["Blueprint", "refuses"],
    "authapp.cli.alembic_env": ["run_project_migrations"],
    "authapp.config": ["RateLimit", "Settings", "SettingsError", "rate_limits"],
    "authapp.context": ["OPERATOR", "Principal", "RequestContext"],
    "authapp.database.session": ["db", "transaction"],
    "authapp.domain": ["audit", "hooks"],
    "authapp.domain.audit": ["event_types"],
    "authapp.domain.passwords.checks": ["password_checks"],
    "authapp.domain.roles.permissions": ["permissions"],
    "authapp.domain.services": ["Services"],
    "authapp.domain.sessions.token_claims": ["token_claims"],
    "authapp.extension": ["AuthApp"],
    "authapp.factory": ["create_app"],
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    # Imported on first use (PEP 562): gunicorn's master imports authapp.serving, and must not load the application.
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(_MODULE_OF[name])
    return getattr(module, name) if hasattr(module, name) else import_module(f"{_MODULE_OF[name]}.{name}")
