"""The pool of connections in autocommit: one statement is one round trip, with no BEGIN and no ROLLBACK."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import psycopg2
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from authapp.database import deadline, waiting
from authapp.database.prepared import DIALECT, Prepared
from authapp.database.waiting import BoundedConnection

MAX_AGE = 900.0
"""How old a connection gets, in seconds: its plans, and the server that a failover left it with, are not for ever."""


class Pool:
    """Keeps connections, the one used last on top: what is used is warm, and what is not is known to be idle."""

    def __init__(self, connect: Callable[[], BoundedConnection], *, size: int, timeout: float) -> None:
        """Take how to ``connect``, how many connections there may be, and for how many seconds to wait for one."""
        self._connect = connect
        self._idle: list[BoundedConnection] = []
        self._places = waiting.semaphore(size)
        self._timeout = timeout

    def first(self, statement: Prepared, parameters: Mapping[str, Any]) -> Any:
        """Run ``statement`` in one round trip and return its first row, or ``None``.

        A connection may have died while it was idle (failover, ``pg_terminate_backend``): the statement is then run
        again on another, and at last on a fresh one. So it may run twice.

        Raises ``sqlalchemy.exc.DBAPIError`` for what PostgreSQL refuses, and ``sqlalchemy.exc.TimeoutError`` when all
        connections are in use for too long.
        """
        self._enter()
        try:
            while True:
                connection, fresh = self._take()
                try:
                    return self._on(connection, statement, parameters)
                except psycopg2.Error as error:
                    if not connection.closed:
                        raise _told(error, statement, disconnected=False) from error
                    self.clear()
                    if fresh:
                        raise _told(error, statement, disconnected=True) from error
        finally:
            self._places.release()

    def clear(self) -> None:
        """Close the connections that are idle: where one has died, the others have too."""
        while self._idle:
            self._idle.pop().close()

    def _enter(self) -> None:
        if not self._places.acquire(blocking=False) and not self._places.acquire(timeout=deadline.left(self._timeout)):
            raise PoolTimeout("Every connection is in use.")

    def _take(self) -> tuple[BoundedConnection, bool]:
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
            return statement.first(connection, parameters)
        finally:
            if time.monotonic() - connection.opened_at > MAX_AGE:
                connection.close()
            if not connection.closed:
                self._idle.append(connection)


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
