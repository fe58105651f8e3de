"""The pool of connections in autocommit: one statement is one round trip, with no BEGIN and no ROLLBACK."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import psycopg2
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from authapp.database import deadline, waiting
from authapp.database.abandoned import Abandoned
from authapp.database.connecting import READ_ONLY
from authapp.database.places import Places
from authapp.database.prepared import DIALECT, Prepared
from authapp.database.waiting import BoundedConnection, Unanswered

MAX_AGE = 900.0
"""How old a connection gets, in seconds: its plans, and the server that a failover left it with, are not for ever."""

FRESH_ATTEMPTS = 2
"""How often a statement is tried on a fresh connection: one may be ended while it is being opened."""


class Pool:
    """Keeps connections, the one used last on top: what is used is warm, and what is not is known to be idle."""

    def __init__(self, connect: Callable[[], BoundedConnection], *, size: int, timeout: float) -> None:
        """Take how to ``connect``, how many connections there may be, and for how many seconds to wait for one."""
        self._connect = connect
        self._idle: list[BoundedConnection] = []
        self._places = waiting.places(size)
        # Writes that wait, for a standby say, must leave places for the reads that authenticate.
        self._places_to_write = waiting.places(max(1, size // 2))
        self._timeout = timeout
        self._abandoned = Abandoned(timeout)

    def read(self, statement: Prepared, parameters: Mapping[str, Any]) -> Any:
        """Run ``statement`` in one round trip and return its first row, or ``None``.

        A connection may have died while it was idle (failover, ``pg_terminate_backend``): the statement is then run
        again on another, and at last on a fresh one. So it may run more than once.

        Raises ``sqlalchemy.exc.DBAPIError`` for what PostgreSQL refuses, and ``sqlalchemy.exc.TimeoutError`` when all
        connections are in use for too long, or the request has no time left.
        """
        self._enter(self._places)
        try:
            fresh_attempts = 0
            while True:
                connection, fresh = self._take()
                fresh_attempts += fresh
                try:
                    return self._on(connection, statement, parameters)
                except psycopg2.Error as error:
                    if not self._is_lost(connection, error) or fresh_attempts == FRESH_ATTEMPTS:
                        raise _told(error, statement, disconnected=bool(connection.closed)) from error
        finally:
            self._places.release()

    def write(self, statement: Prepared, parameters: Mapping[str, Any]) -> Any:
        """Run a ``statement`` that commits by itself; otherwise like ``read``."""
        self._enter(self._places_to_write)
        try:
            return self.read(statement, parameters)
        except DBAPIError as error:
            if isinstance(error.orig, Unanswered):
                self._abandoned.add()
            raise
        finally:
            self._places_to_write.release()

    def clear(self) -> None:
        """Close the connections that are idle: where one has died, the others have too."""
        while self._idle:
            self._idle.pop().close()

    def _enter(self, places: Places) -> None:
        if not places.acquire(deadline.left(self._timeout)):
            raise PoolTimeout("Every connection is in use.")

    def _take(self) -> tuple[BoundedConnection, bool]:
        # A statement that could not be waited for must not be sent: it would run all the same.
        if deadline.left(self._timeout) <= 0:
            raise PoolTimeout("The request has no time left.")
        try:
            return self._idle.pop(), False
        except IndexError:
            pass
        try:
            return self._connect(), True
        except psycopg2.Error as error:
            raise _told(error, None, disconnected=True) from error

    def _on(self, connection: BoundedConnection, statement: Prepared, parameters: Mapping[str, Any]) -> Any:
        try:
            row = statement.first(connection, parameters)
            self._abandoned.sweep(connection)
            return row
        finally:
            if time.monotonic() - connection.opened_at > MAX_AGE:
                connection.close()
            if not connection.closed:
                self._idle.append(connection)

    def _is_lost(self, connection: BoundedConnection, error: psycopg2.Error) -> bool:
        """Tell whether another connection may do better, after closing those that will do no better than this."""
        if error.pgcode == READ_ONLY:
            # The server was demoted: what it tells about tokens may be a moment old, and so is wrong.
            self._discard(connection)
            return False
        # A statement that was not answered in time says nothing about the other connections.
        if not connection.closed or isinstance(error, Unanswered):
            return False
        self.clear()
        return True

    def _discard(self, connection: BoundedConnection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)
        connection.close()
        self.clear()


def _told(error: psycopg2.Error, statement: Prepared | None, *, disconnected: bool) -> BaseException:
    """Return ``error`` as SQLAlchemy tells it, without the parameters: they are hashes and people's addresses."""
    return DBAPIError.instance(
        statement.text if statement else None,
        {},
        error,
        psycopg2.Error,
        hide_parameters=True,
        connection_invalidated=disconnected,
        dialect=DIALECT,
    )
