"""The extensions, unbound: ``factory.create_app`` binds them to an application."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import current_app, g
from flask_jwt_extended import JWTManager
from flask_jwt_extended.exceptions import RevokedTokenError, WrongTokenError
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import MetaData
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase

from authapp.database.prepared import Prepared

POOL = "authapp.pool"
"""Where an application keeps its ``Pool``."""


_OUTAGES = ("08", "25006", "40", "42703", "42P01", "53", "55", "57", "58")
"""SQLSTATEs, whole or by class, that pass: the server is unreachable, read-only, busy, full, or not migrated yet."""


def is_outage(error: SQLAlchemyError) -> bool:
    """Tell an error of the database that will pass from a mistake of ours, which will not."""
    if isinstance(error, DBAPIError):
        sqlstate = getattr(error.orig, "pgcode", None)
        if sqlstate:
            return str(sqlstate).startswith(_OUTAGES)
        return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
    return isinstance(error, PoolTimeout)


class Base(DeclarativeBase):
    """The base of every table; it names every constraint, so that migrations and refusals can name them too."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Database(SQLAlchemy):
    """Flask-SQLAlchemy, and beside it a pool for what is one statement and needs no transaction."""

    def read_one(self, statement: Prepared, parameters: Mapping[str, Any]) -> Any:
        """Run ``statement`` in one round trip and return its first row, or ``None``.

        Raises ``sqlalchemy.exc.SQLAlchemyError``.
        """
        return current_app.extensions[POOL].read(statement, parameters)

    def write_one(self, statement: Prepared, parameters: Mapping[str, Any]) -> Any:
        """Run a write that commits by itself, in one round trip, and return its first row, or ``None``.

        It may run twice, when a connection had died: only for what may happen twice.
        """
        return current_app.extensions[POOL].write(statement, parameters)

    def dispose(self) -> None:
        """Close every idle connection of the current application."""
        current_app.extensions[POOL].clear()
        for engine in self.engines.values():
            engine.dispose()


Reader = Callable[[str], tuple[dict[str, Any], dict[str, Any]]]


class BearerTokenManager(JWTManager):
    """Flask-JWT-Extended, which leaves the reading of a token to one function of ours.

    By itself it decodes a token three times and, under the right signature, accepts one without ``exp``, ``jti`` or
    ``type``. This subclass replaces the decoding alone; everything around it (types, freshness, the blocklist and user
    loaders, ``get_jwt()``, ``current_user``, ``@jwt_required()``) stays the library's.
    """

    def __init__(self) -> None:
        super().__init__()
        self._token_reader: Reader | None = None

    def token_reader_loader(self, reader: Reader) -> Reader:
        """Register the function that turns an encoded token into verified header and claims, or raises a refusal."""
        self._token_reader = reader
        return reader

    def let_in(self, encoded_token: str, *, token_type: str) -> None:
        """Do what ``verify_jwt_in_request()`` does for the one token of a request, and read it once.

        The library looks for the token in every location, and decodes its header once more to no end: a tenth of a
        protected request. The loaders asked and their order are the same, and so is what ``get_jwt()`` finds;
        ``tests/api/test_bearer.py`` compares the two.

        Raises ``WrongTokenError``, ``RevokedTokenError``, or what the reader and the loaders raise.
        """
        header, claims = self._read(encoded_token)
        if claims["type"] != token_type:
            raise WrongTokenError(f"Only {token_type} tokens are allowed")
        if self._token_in_blocklist_callback(header, claims):
            raise RevokedTokenError(header, claims)
        if self._user_lookup_callback is None:
            raise RuntimeError("no user loader is registered: call api.init_app(app) first")
        user = self._user_lookup_callback(header, claims)
        # Where the library keeps them, and its ``get_jwt()`` and ``current_user`` look.
        g._jwt_extended_jwt_user = {"loaded_user": user}  # noqa: SLF001
        g._jwt_extended_jwt_header, g._jwt_extended_jwt = header, claims  # noqa: SLF001
        g._jwt_extended_jwt_location = "headers"  # noqa: SLF001

    def _read(self, encoded_token: str) -> tuple[dict[str, Any], dict[str, Any]]:
        if self._token_reader is None:
            raise RuntimeError("no token reader is registered: call api.init_app(app) first")
        return self._token_reader(encoded_token)

    def _decode_jwt_from_config(
        self,
        encoded_token: str,
        csrf_value: str | None = None,
        allow_expired: bool = False,
    ) -> dict[str, Any]:
        return self._read(encoded_token)[1]


db = Database(model_class=Base, session_options={"expire_on_commit": False})
migrate = Migrate()
jwt = BearerTokenManager()
limiter = Limiter(get_remote_address)
"""General limits by route, for blueprints that are added; off unless ``AUTHAPP_RATE_LIMIT_STORAGE`` names a storage."""
