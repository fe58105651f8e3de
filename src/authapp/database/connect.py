"""How connections are made, for SQLAlchemy's pool and the fast path's alike."""

from collections.abc import Callable, Mapping
from typing import Any

import psycopg2
from psycopg2.extras import register_uuid
from sqlalchemy import event
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.engine import Dialect, Engine, ExceptionContext, make_url
from sqlalchemy.pool import QueuePool

from authapp.database import deadline
from authapp.database.orphaned_backends import OrphanedBackends
from authapp.database.wait_callback import TimedConnection, Unanswered, connections_with

DIALECT: Dialect = PGDialect_psycopg2()  # type: ignore[no-untyped-call]

READ_ONLY = "25006"
"""The SQLSTATE by which a server says that it cannot be written to: it may be a standby by now."""

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


class Servers:
    """The servers that a database address names, one of which takes connections.

    libpq tries them in turn too, but waits for each without a limit of its own: a primary that is frozen, or behind a
    network that swallows packets, would use up all the time, and the new one would never be asked.
    """

    def __init__(self, url: str, arguments: Mapping[str, Any]) -> None:
        """Take the address as SQLAlchemy writes it, and the ``connect_arguments``."""
        _, where = DIALECT.create_connect_args(make_url(url))
        self._endpoints = _endpoints(where)
        elsewhere = {name: value for name, value in where.items() if name not in self._endpoints[0]}
        # A standby may still show a token as it was before its revocation: no connection is made to one.
        self._options = {"target_session_attrs": "primary", **elsewhere, **arguments}
        self._timeout: float = arguments["connection_factory"].answer_timeout

    def open(self) -> TimedConnection:
        """Return a connection to the first server that takes one, beginning with the one that did last.

        Each gets its share of the time. Raises ``psycopg2.Error``.
        """
        tried = list(self._endpoints)
        for number, endpoint in enumerate(tried):
            try:
                with deadline.within(deadline.left(self._timeout) / (len(tried) - number)):
                    connection: TimedConnection = psycopg2.connect(**{**self._options, **endpoint})
            except psycopg2.Error:
                if endpoint is tried[-1]:
                    raise
            else:
                self._endpoints = [endpoint, *(each for each in tried if each is not endpoint)]
                return connection
        raise RuntimeError("an address names at least one server")


def _endpoints(where: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the host and port of each server in an address such as ``db1,db2`` (libpq, section 32.1.1.3)."""
    hosts = str(where.get("host", "")).split(",")
    if len(hosts) == 1 or "hostaddr" in where:
        return [{}]
    ports = str(where.get("port", "")).split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    return [{"host": host, "port": port} for host, port in zip(hosts, ports, strict=True)]


def connector(url: str, arguments: Mapping[str, Any]) -> Callable[[], TimedConnection]:
    """Return what opens a connection in autocommit to the database at ``url``, an address as SQLAlchemy writes it."""
    servers = Servers(url, arguments)

    def connect() -> TimedConnection:
        connection = servers.open()
        connection.autocommit = True
        register_uuid(None, connection)  # type: ignore[no-untyped-call]
        return connection

    return connect


def watch_errors(engine: Engine, orphaned: OrphanedBackends) -> None:
    """Let ``engine`` close its connections to a server that was demoted, and note the writes that were given up."""

    def note(context: ExceptionContext) -> None:
        if getattr(context.original_exception, "pgcode", None) == READ_ONLY:
            context.is_disconnect = True
        if isinstance(context.original_exception, Unanswered):
            orphaned.note()

    event.listen(engine, "handle_error", note)


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
