"""authapp: accounts and tokens over JSON, where a logged-out token is dead at once."""

from authapp.factory import create_app

__all__ = ["create_app"]
