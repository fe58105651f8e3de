"""The extensions, unbound: ``factory.create_app`` binds them to an application."""

from collections.abc import Callable, Mapping
from typing import Any

from flask_jwt_extended import JWTManager
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import MetaData
from sqlalchemy.engine import Row
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.sql import Executable

READS = "reads"
"""The bind whose connections are in autocommit: a read costs one round trip, with no BEGIN and no ROLLBACK."""


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
    """Flask-SQLAlchemy with a second pool, in autocommit, for reads that need no transaction."""

    def read_one(self, statement: Executable, parameters: Mapping[str, Any]) -> Row[Any] | None:
        """Run ``statement`` in one round trip and return its first row, or ``None``.

        A pooled connection may have died while idle (failover, ``pg_terminate_backend``). A read can be repeated
        safely, so it gets one more try: SQLAlchemy has emptied the pool, and the second connection is a fresh one.
        """
        try:
            return self._first(statement, parameters)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            return self._first(statement, parameters)

    def write_one(self, statement: Executable, parameters: Mapping[str, Any]) -> Row[Any] | None:
        """Run a write that commits by itself, in one round trip, and return its first row, or ``None``.

        It may run twice, when a connection had died: only for what may happen twice, such as counting an attempt.
        """
        return self.read_one(statement, parameters)

    def _first(self, statement: Executable, parameters: Mapping[str, Any]) -> Row[Any] | None:
        with self.engines[READS].connect() as connection:
            return connection.execute(statement, parameters).first()


class BearerTokenManager(JWTManager):
    """Flask-JWT-Extended, which leaves the reading of a token to one function of ours.

    By itself it decodes a token three times and, under the right signature, accepts one without ``exp``, ``jti`` or
    ``type``. This subclass replaces the decoding alone; everything around it (locations, types, freshness, the
    blocklist and user loaders, ``get_jwt()``, ``current_user``) stays the library's.
    """

    def __init__(self) -> None:
        super().__init__()
        self._token_reader: Callable[[str], Mapping[str, Any]] | None = None

    def token_reader_loader(self, reader: Callable[[str], Mapping[str, Any]]) -> Callable[[str], Mapping[str, Any]]:
        """Register the function that turns an encoded token into verified claims, or raises a refusal."""
        self._token_reader = reader
        return reader

    def _decode_jwt_from_config(
        self,
        encoded_token: str,
        csrf_value: str | None = None,
        allow_expired: bool = False,
    ) -> dict[str, Any]:
        if self._token_reader is None:
            raise RuntimeError("no token reader is registered: call api.init_app(app) first")
        return dict(self._token_reader(encoded_token))


db = Database(model_class=Base, session_options={"expire_on_commit": False})
migrate = Migrate()
jwt = BearerTokenManager()
limiter = Limiter(get_remote_address)
"""General limits by route, for blueprints that are added; off unless ``AUTHAPP_RATE_LIMIT_STORAGE`` names a storage."""
