"""How connections are made, for both pools alike."""

from collections.abc import Callable, Mapping
from typing import Any

import psycopg2
from psycopg2.extras import register_uuid
from sqlalchemy.engine import make_url
from sqlalchemy.pool import QueuePool

from authapp.database import deadline
from authapp.database.prepared import DIALECT
from authapp.database.waiting import BoundedConnection, connections_with

SERVER_SHARE = 0.8
"""PostgreSQL gives a statement up before the client does: its answer leaves the connection usable."""


def connect_arguments(timeout: float) -> dict[str, Any]:
    """Return what psycopg2 is to connect with, where ``timeout`` is for how many seconds to wait for an answer."""
    server_ms = max(1, int(timeout * SERVER_SHARE * 1000))
    return {
        "connection_factory": connections_with(timeout),
        "application_name": "authapp",
        "tcp_user_timeout": max(1, int(timeout * 1000)),
        # A peer that vanished while a connection was idle is noticed before somebody needs it.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 2,
        "options": f"-c statement_timeout={server_ms} -c lock_timeout={server_ms}"
        f" -c idle_in_transaction_session_timeout=60000 -c timezone=UTC",
    }


def connector(url: str, arguments: Mapping[str, Any]) -> Callable[[], BoundedConnection]:
    """Return what opens a connection in autocommit to the database at ``url``, an address as SQLAlchemy writes it."""
    _, where = DIALECT.create_connect_args(make_url(url))

    def connect() -> BoundedConnection:
        connection: BoundedConnection = psycopg2.connect(**{**where, **arguments})
        connection.autocommit = True
        register_uuid(None, connection)  # type: ignore[no-untyped-call]
        return connection

    return connect


class DeadlinePool(QueuePool):
    """SQLAlchemy's pool, which waits for a connection no longer than the request may."""

    def recreate(self) -> "DeadlinePool":
        """Return a new pool like this one, whatever is left of the deadline of the request that asks for it."""
        pool: DeadlinePool = super().recreate()  # type: ignore[assignment]
        pool._longest = self._longest
        return pool

    @property
    def _timeout(self) -> float:
        return deadline.left(self._longest)

    @_timeout.setter
    def _timeout(self, seconds: float) -> None:
        self._longest = seconds
