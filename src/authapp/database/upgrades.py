"""Connections that migrate a database: without a time limit, giving way to requests, and one of all processes."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event, func, select, text
from sqlalchemy.exc import DBAPIError

from authapp.database.errors import sqlstate
from authapp.database.session import db

UPGRADE_LOCK = 0x61757468
"""The advisory lock of an upgrade: of several nodes that start at once, one migrates and the others wait."""

POLL_SECONDS = 0.2

TRIES = 60
PAUSE_SECONDS = 1
"""How often a migration asks for a lock, and the seconds between, in which the requests that queued behind it run."""

_DEADLOCK, _LOCK_NOT_AVAILABLE = "40P01", "55P03"


@contextmanager
def without_time_limits() -> Iterator[None]:
    """Let migrations take their time: the limits on statements are for requests."""
    engine = db.engine
    event.listen(engine, "engine_connect", _lift_time_limits)
    try:
        yield
    finally:
        event.remove(engine, "engine_connect", _lift_time_limits)


def _lift_time_limits(connection: Connection) -> None:
    driver: Any = connection.connection.driver_connection
    driver.answer_timeout = None
    connection.execute(text("SET application_name = 'authapp migration'"))
    connection.execute(text("SET statement_timeout = 0"))
    connection.execute(text("SET idle_in_transaction_session_timeout = 0"))
    # For statements outside a transaction, such as CREATE INDEX CONCURRENTLY: nobody queues behind those.
    connection.execute(text("SET lock_timeout = '30s'"))
    connection.commit()


def give_way(connection: Connection) -> None:
    """Let no transaction on ``connection`` wait for a lock for longer than 500 ms.

    Every request that uses the table queues behind it meanwhile, and has a few seconds. And it is less than
    PostgreSQL's ``deadlock_timeout``, so that in most deadlocks the migration gives up, and not a request.
    """
    event.listen(connection, "begin", _shorten_lock_timeout)


def _shorten_lock_timeout(connection: Connection) -> None:
    connection.exec_driver_sql("SET LOCAL lock_timeout = '500ms'")  # outside a transaction it changes nothing


def retry_for_locks(run: Callable[[], object], on_wait: Callable[[], object]) -> None:
    """Call ``run``, and call it again, ``TRIES`` times in all, while it fails for want of a lock.

    ``on_wait`` is called once, after the first failure. Raises what ``run`` raises.
    """
    for tries_left in reversed(range(TRIES)):
        try:
            run()
        except DBAPIError as error:
            if not tries_left or sqlstate(error) not in {_DEADLOCK, _LOCK_NOT_AVAILABLE}:
                raise
        else:
            return
        if tries_left == TRIES - 1:
            on_wait()
        time.sleep(PAUSE_SECONDS)


@contextmanager
def one_at_a_time(on_wait: Callable[[], object]) -> Iterator[None]:
    """Wait for the upgrade of another process to end, however long it takes, and keep others out within the block.

    ``on_wait`` is called once if there is another.

    The lock is polled, because a process that waits inside a statement has a snapshot, and a ``CREATE INDEX
    CONCURRENTLY`` of the other process would wait for that snapshot. The lock belongs to the transaction and not to the
    session, because a pooler may give the connection of a session to somebody else.
    """
    with db.engine.connect() as connection:
        connection.detach()  # the pool may have room for one, and the migrations need it
        if not _lock(connection):
            on_wait()
            while not _lock(connection):
                time.sleep(POLL_SECONDS)
        yield


def _lock(connection: Connection) -> bool:
    locked: bool = connection.scalar(select(func.pg_try_advisory_xact_lock(UPGRADE_LOCK))) is True
    if not locked:
        connection.rollback()
    return locked
