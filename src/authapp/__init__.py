"""authapp: accounts and tokens over JSON, where a logged-out token is dead at once."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from authapp.factory import create_app

__all__ = ["create_app"]

# Imported on first use (PEP 562): gunicorn's master imports ``authapp.serving``, and must not load the application.
_MODULES = {"create_app": "authapp.factory"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
