"""Opening connections, for the pools of SQLAlchemy and of the fast path.

This is the only file that uses a private name of SQLAlchemy (2.1): ``QueuePool._timeout``, replaced by a property.
``tests/database/test_fast_path.py`` fails when it moves.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg2
from psycopg2.extensions import make_dsn
from psycopg2.extras import register_uuid
from sqlalchemy import event
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.engine import URL, Dialect, Engine, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from authapp.database import deadline, host_names, session_settings
from authapp.database.orphaned_backends import OrphanedBackends
from authapp.database.wait_callback import AnswerTimeout, TimedConnection, connections_with
from authapp.metrics import DATABASE_STATEMENTS, DATABASE_WAIT_SECONDS

DIALECT: Dialect = PGDialect_psycopg2()  # type: ignore[no-untyped-call]  # SQLAlchemy's dialects have no types

READ_ONLY = "25006"
"""The SQLSTATE for a write to a read-only server: it may have become a standby."""

APPLICATION_NAME = "authapp"

Endpoint = Mapping[str, str]
"""Where a server is: libpq's ``host``, ``port`` and, of a host that was looked up, ``hostaddr``."""

MEASURED_WAIT = 0.001
"""Seconds below which taking a connection is no wait."""


def connect_arguments(timeout: float) -> dict[str, Any]:
    """Return the arguments for ``psycopg2.connect`` besides the address of the database.

    ``timeout`` is how many seconds to wait for each answer.
    """
    return {
        "connection_factory": connections_with(timeout),
        "fallback_application_name": APPLICATION_NAME,
        # Never connect to a standby: it may lag behind, and show a revoked token as valid.
        "target_session_attrs": "primary",
        "tcp_user_timeout": max(1, int(timeout * 1000)),
        # Keepalives detect that the peer of an idle connection is gone before a request uses the connection.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 2,
    }


_PRIMARY_ONLY = {"primary", "read-write"}


def problem_of_options(url: URL) -> str | None:
    """Return what is wrong with the options in the address of a database, or ``None``. It connects to nothing."""
    if url.query.get("target_session_attrs", "primary") not in _PRIMARY_ONLY:
        return "must not ask for a standby: target_session_attrs may be primary or read-write."
    if any(not isinstance(value, str) for name, value in url.query.items() if name not in {"host", "port"}):
        return "has an option twice, after the ?."
    try:
        make_dsn(**DIALECT.create_connect_args(url)[1])
    except (psycopg2.Error, ArgumentError):
        # Without the name: it may be a part of a password that is not escaped.
        return "has an option, after the ?, that libpq does not know or cannot use."
    return None


class Servers:
    """The servers in a database address, of which one, the primary, accepts connections.

    libpq also tries them in turn, but without a separate time limit for each: a frozen or unreachable old primary would
    use up all the time, and the new primary would never be tried. And it looks up their names while everything waits.
    """

    def __init__(self, url: str, arguments: Mapping[str, Any]) -> None:
        """Take a SQLAlchemy database URL, and the ``connect_arguments``."""
        _, where = DIALECT.create_connect_args(make_url(url))
        self._endpoints = _endpoints(where)
        self._last: Endpoint = {}
        self._timeout: float = arguments["connection_factory"].answer_timeout
        operator_options = where.get("options") or os.environ.get("PGOPTIONS", "")
        self._arguments = {
            **arguments,
            **where,
            "options": session_settings.options(self._timeout, operator_options),
            "client_encoding": session_settings.CLIENT_ENCODING,
        }

    def open(self) -> TimedConnection:
        """Return a connection to the first server that accepts one, starting with the last one that did.

        Each server, and each address of a server, gets an equal share of the remaining time. Raises
        ``psycopg2.OperationalError`` if all fail, with the message of each.
        """
        return self._first(self._endpoints, self._connect_by_name)

    def _connect_by_name(self, endpoint: Endpoint) -> TimedConnection:
        host = endpoint.get("host", "")
        if not host_names.is_name(host):
            return self._connect(endpoint)
        addresses = host_names.addresses_of(host, deadline.left(self._timeout))
        # ``host`` stays: the certificate is checked against it.
        return self._first([{**endpoint, "hostaddr": address} for address in addresses], self._connect)

    def _connect(self, endpoint: Endpoint) -> TimedConnection:
        connection: TimedConnection = psycopg2.connect(**{**self._arguments, **endpoint})
        session_settings.ensure(connection)
        self._last = endpoint
        return connection

    def _first(self, endpoints: Sequence[Endpoint], connect: Callable[[Endpoint], TimedConnection]) -> TimedConnection:
        errors: list[psycopg2.Error] = []
        last = self._last.items()
        for endpoint in sorted(endpoints, key=lambda each: not each.items() <= last):
            share = deadline.left(self._timeout) / (len(endpoints) - len(errors))
            try:
                with deadline.within(share):
                    return connect(endpoint)
            except psycopg2.Error as error:
                errors.append(error)
        raise psycopg2.OperationalError("\n".join(map(str, errors))) from errors[-1]


def _endpoints(where: Mapping[str, Any]) -> list[Endpoint]:
    """Return the host and port of each server in an address such as ``db1,db2`` (libpq, section 32.1.1.3).

    The result is ``[{}]``, which leaves all to libpq, if the address names no host, IP addresses beside the hosts, or
    another number of ports than hosts.
    """
    hosts = str(where.get("host") or os.environ.get("PGHOST", "")).split(",")
    if hosts == [""] or "hostaddr" in where or os.environ.get("PGHOSTADDR"):
        return [{}]
    ports = str(where.get("port") or os.environ.get("PGPORT", "")).split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    if len(ports) != len(hosts):
        return [{}]
    return [{"host": host, "port": port} for host, port in zip(hosts, ports, strict=True)]


def connector(url: str, arguments: Mapping[str, Any]) -> Callable[[], TimedConnection]:
    """Return a function that opens a connection in autocommit mode to ``url``, a SQLAlchemy database URL."""
    servers = Servers(url, arguments)

    def connect() -> TimedConnection:
        connection = servers.open()
        connection.autocommit = True
        register_uuid(None, connection)  # type: ignore[no-untyped-call]  # psycopg2 has no types
        return connection

    return connect


def watch_errors(engine: Engine, orphaned: OrphanedBackends) -> None:
    """Make ``engine`` drop its connections to a server that became read-only, and report abandoned writes."""

    def on_error(context: ExceptionContext) -> None:
        if getattr(context.original_exception, "pgcode", None) == READ_ONLY:
            context.is_disconnect = True
        if isinstance(context.original_exception, AnswerTimeout):
            orphaned.record()

    event.listen(engine, "handle_error", on_error)
    statements = DATABASE_STATEMENTS.labels("session")
    event.listen(engine, "before_cursor_execute", lambda *_: statements.inc())


def record_wait(via: str, seconds: float) -> None:
    """Count a wait for a connection, unless there was none."""
    if seconds >= MEASURED_WAIT:
        DATABASE_WAIT_SECONDS.labels(via).observe(seconds)


class DeadlinePool(QueuePool):
    """SQLAlchemy's pool, which waits for a connection only until the deadline of the request."""

    def recreate(self) -> "DeadlinePool":
        """Return a new pool with the full timeout, not with the rest of the current request's deadline."""
        pool: DeadlinePool = super().recreate()  # type: ignore[assignment]  # it returns one of its own class
        pool._longest = self._longest
        return pool

    def connect(self) -> PoolProxiedConnection:
        """Return a connection. Raises ``sqlalchemy.exc.TimeoutError`` if none becomes free in time."""
        if self.checkedout() < self.size():
            return super().connect()
        start = time.monotonic()
        try:
            return super().connect()
        finally:
            record_wait("session", time.monotonic() - start)

    @property
    def _timeout(self) -> float:
        return deadline.left(self._longest)

    @_timeout.setter
    def _timeout(self, seconds: float) -> None:
        self._longest = seconds
