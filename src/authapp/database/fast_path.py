"""The fast path: the few statements of frequent requests, prepared once per connection, each in one round trip.

Compared with SQLAlchemy's session it saves BEGIN, ROLLBACK and planning, about a third of a protected request
(``docs/decisions/0019-prepared-statements.md``). psycopg2 has no API for prepared statements, so SQL's ``PREPARE`` and
``EXECUTE`` are used. The name of a statement is a hash of its text, so the same name always means the same statement.
"""

import time
from collections import namedtuple
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

import psycopg2
from psycopg2 import Error
from psycopg2.extensions import adapt
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.sql.selectable import ReturnsRows
from sqlalchemy.types import NullType, TypeEngine

from authapp.database import deadline, wait_callback
from authapp.database.connect import DIALECT, READ_ONLY, record_wait
from authapp.database.orphaned_backends import OrphanedBackends
from authapp.database.semaphore import FairSemaphore
from authapp.database.session_settings import BEGIN_WRITE
from authapp.database.wait_callback import AnswerTimeout, TimedConnection
from authapp.metrics import DATABASE_STATEMENTS

MAX_AGE = 900.0
"""The maximum age of a connection, in seconds. After that, outdated plans and the choice of server are renewed."""

FRESH_ATTEMPTS = 2
"""How often a statement is tried on a new connection. One retry, because the server may end one while it opens."""


STATEMENTS = DATABASE_STATEMENTS.labels("fast_path")

_NO_SUCH_STATEMENT, _STATEMENT_EXISTS, _PLAN_IS_OUTDATED = "26000", "42P05", "0A000"


class PreparedStatement:
    """A SQLAlchemy Core statement, compiled once. Its rows are named tuples."""

    def __init__(self, statement: ReturnsRows) -> None:
        """Take a ``statement`` that returns rows. Values that vary must be ``bindparam``; others become constants.

        Raises ``ValueError`` when two of its columns have one name: rows are read by name.
        """
        compiled: Any = statement.compile(dialect=DIALECT)
        types = {name: bind.type for bind, name in compiled.bind_names.items()}
        given = [name for bind, name in compiled.bind_names.items() if bind.required]
        encoders = _processors(types, "bind_processor", DIALECT)
        constants = {
            name: _literal(compiled.params[name], types[name], encoders.get(name))
            for name in types
            if name not in given
        }
        self._encoders = {name: encode for name, encode in encoders.items() if name in given}
        self._build_sql(str(compiled), constants, {name: _type_name(types[name]) for name in given})
        self._prepare_row(statement.exported_columns)

    def _build_sql(self, compiled: str, constants: dict[str, str], given: dict[str, str]) -> None:
        """Write the statement's texts. ``given`` has the SQL type of each parameter, by name."""
        placeholders = {name: f"%({name})s" for name in given}
        positional = compiled % (constants | {name: f"${n}" for n, name in enumerate(given, start=1)})
        types, values = (f"({', '.join(texts.values())})" if given else "" for texts in (given, placeholders))
        self.name = "authapp_" + sha256(f"{types} {positional}".encode()).hexdigest()[:16]
        self.text = compiled % (constants | placeholders)
        prepare = f"PREPARE {self.name}{types} AS {positional}"
        # psycopg2 turns %% into % only if the statement has parameters.
        if given:
            prepare = prepare.replace("%", "%%")
        else:
            self.text = self.text.replace("%%", "%")
        self._execute = f"EXECUTE {self.name}{values}"
        self._prepare_and_execute = f"{prepare}; {self._execute}"

    def _prepare_row(self, exported: Any) -> None:
        columns = {column.name: column.type for column in exported}
        if len(columns) != len(exported):
            raise ValueError("Two columns have one name: give one of them a label.")
        decoders = _processors(columns, "result_processor", DIALECT, None)
        self._decoders = [(list(columns).index(name), decode) for name, decode in decoders.items()]
        self._row: Any = namedtuple("Row", columns)  # type: ignore[misc]  # noqa: PYI024 - its fields are known here

    def first(self, connection: TimedConnection, parameters: Mapping[str, Any], begin: str = "") -> Any:
        """Run the statement on ``connection``, and return the first row, or ``None``. Raises ``psycopg2.Error``.

        ``begin`` is SQL that is run before it, in the same transaction and round trip.
        """
        values = parameters
        if self._encoders:
            values = {**parameters, **{name: encode(parameters[name]) for name, encode in self._encoders.items()}}
        cursor = connection.cursor()
        self._run(cursor, connection.statements, values, begin)
        record = cursor.fetchone()
        cursor.close()
        if record is None:
            return None
        converted = list(record)
        for position, decode in self._decoders:
            converted[position] = decode(converted[position])
        return self._row._make(converted)

    def _run(self, cursor: Any, known: set[str], values: Mapping[str, Any], begin: str) -> None:
        # Behind a transaction pooler, each transaction may use another server connection. It may already have the
        # statement although it was not prepared here, or not have it although it was. The errors handled below occur
        # only before a statement runs, so it is safe to run it again.
        if self.name in known:
            try:
                cursor.execute(begin + self._execute, values)
            except Error as error:
                if error.pgcode not in {_NO_SUCH_STATEMENT, _PLAN_IS_OUTDATED}:
                    raise
            else:
                return
        try:
            cursor.execute(begin + self._prepare_and_execute, values)
        except Error as error:
            if error.pgcode != _STATEMENT_EXISTS:
                raise
            cursor.execute(begin + self.text, values)
        known.add(self.name)


def _literal(value: Any, type_: TypeEngine[Any], encode: Callable[[Any], Any] | None) -> str:
    """Return a constant as SQL text, so that PostgreSQL knows it when it plans the statement."""
    quoted: str = adapt(encode(value) if encode else value).getquoted().decode("ascii")
    return f"{quoted.replace('%', '%%')}::{_type_name(type_)}"


def _type_name(type_: TypeEngine[Any]) -> str:
    # Without the collation, because the type of a parameter cannot have one. The collation of the column applies.
    return "unknown" if isinstance(type_, NullType) else type_.compile(dialect=DIALECT).partition(" COLLATE ")[0]


def _processors(types: Mapping[str, TypeEngine[Any]], kind: str, *arguments: Any) -> dict[str, Callable[[Any], Any]]:
    """Return the converters to or from PostgreSQL's values, for the types that psycopg2 does not convert itself."""
    found = {name: getattr(type_.dialect_impl(DIALECT), kind)(*arguments) for name, type_ in types.items()}
    return {name: processor for name, processor in found.items() if processor is not None}


class FastPath:
    """Runs prepared statements on connections in autocommit mode.

    The connection that was used last is used next, because its caches are warm.
    """

    def __init__(
        self, connect: Callable[[], TimedConnection], orphaned: OrphanedBackends, *, size: int, timeout: float
    ) -> None:
        """Take the function that opens connections, their maximum number, and the ``timeout`` of waits in seconds."""
        self._connect = connect
        self._orphaned = orphaned
        self._idle: list[TimedConnection] = []
        self._permits = wait_callback.fair_semaphore(size)
        # Writes get at most half of the connections. If they hang, for example while a synchronous standby is down,
        # the reads that authenticate requests still have connections.
        self._write_permits = wait_callback.fair_semaphore(max(1, size // 2))
        self._timeout = timeout

    def read(self, statement: PreparedStatement, parameters: Mapping[str, Any]) -> Any:
        """Run ``statement`` in one round trip and return its first row, or ``None``.

        If the connection died while it was idle (failover, ``pg_terminate_backend``), the statement is run again on
        another one, and finally on a new one. So it may run more than once.

        Raises ``sqlalchemy.exc.DBAPIError`` for errors of PostgreSQL, and ``sqlalchemy.exc.TimeoutError`` if no
        connection becomes free in time, or the deadline of the request has passed.
        """
        return self._run(statement, parameters)

    def write(self, statement: PreparedStatement, parameters: Mapping[str, Any]) -> Any:
        """Run a ``statement`` that writes and commits by itself; otherwise like ``read``.

        It may run twice if a connection had died, so the second run must do no harm: it changes nothing more, or counts
        an attempt twice.
        """
        self._enter(self._write_permits)
        try:
            return self._run(statement, parameters, BEGIN_WRITE)
        except DBAPIError as error:
            if isinstance(error.orig, AnswerTimeout):
                self._orphaned.record()
            raise
        finally:
            self._write_permits.release()

    def clear(self) -> None:
        """Close all idle connections. When one has died, the others usually have too."""
        while self._idle:
            self._idle.pop().close()

    def _run(self, statement: PreparedStatement, parameters: Mapping[str, Any], begin: str = "") -> Any:
        self._enter(self._permits)
        try:
            fresh_attempts = 0
            while True:
                connection, fresh = self._take()
                fresh_attempts += fresh
                try:
                    return self._on(connection, statement, parameters, begin)
                except psycopg2.Error as error:
                    if not self._is_lost(connection, error) or fresh_attempts == FRESH_ATTEMPTS:
                        raise _as_sqlalchemy_error(error, statement, disconnected=bool(connection.closed)) from error
        finally:
            self._permits.release()

    def _enter(self, permits: FairSemaphore) -> None:
        start = time.monotonic()
        is_acquired = permits.acquire(deadline.left(self._timeout))
        record_wait("fast_path", time.monotonic() - start)
        if not is_acquired:
            raise PoolTimeout("Every connection is in use.")

    def _take(self) -> tuple[TimedConnection, bool]:
        # With no time left to wait for the answer, the statement must not be sent, because it would still run.
        if deadline.left(self._timeout) <= 0:
            raise PoolTimeout("The request has no time left.")
        try:
            return self._idle.pop(), False
        except IndexError:
            pass
        try:
            return self._connect(), True
        except psycopg2.Error as error:
            raise _as_sqlalchemy_error(error, None, disconnected=True) from error

    def _on(
        self, connection: TimedConnection, statement: PreparedStatement, parameters: Mapping[str, Any], begin: str
    ) -> Any:
        STATEMENTS.inc()
        try:
            row = statement.first(connection, parameters, begin)
            self._orphaned.end(connection)
            return row
        finally:
            if time.monotonic() - connection.opened_at > MAX_AGE:
                connection.close()
            if not connection.closed:
                self._idle.append(connection)

    def _is_lost(self, connection: TimedConnection, error: psycopg2.Error) -> bool:
        """Return whether to retry on another connection. Closes idle connections that would fail in the same way."""
        if error.pgcode == READ_ONLY:
            # The server has become a standby. Its data may lag behind, so it could accept a revoked token.
            self._discard(connection)
            return False
        # A statement that got no answer in time does not mean that the other connections are dead.
        if not connection.closed or isinstance(error, AnswerTimeout):
            return False
        self.clear()
        return True

    def _discard(self, connection: TimedConnection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)
        connection.close()
        self.clear()


def _as_sqlalchemy_error(
    error: psycopg2.Error, statement: PreparedStatement | None, *, disconnected: bool
) -> BaseException:
    """Return ``error`` as SQLAlchemy would raise it, but without the parameters: hashes and email addresses."""
    return DBAPIError.instance(
        statement.text if statement else None,
        {},
        error,
        psycopg2.Error,
        hide_parameters=True,
        connection_invalidated=disconnected,
        dialect=DIALECT,
    )
