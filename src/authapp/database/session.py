"""The Flask-SQLAlchemy instance, the base class of all tables, and the transaction context manager."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Executable, MetaData, Row, func, select
from sqlalchemy.orm import DeclarativeBase, Session, scoped_session

logger = logging.getLogger(__name__)


class Base(DeclarativeBase):
    """The base class of all tables. It names all constraints, so that migrations and code can refer to them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})
"""The only Flask-SQLAlchemy instance of an application that uses authapp. Declare your own tables on it."""

Model: Any = db.Model
"""The base class of authapp's own tables. Flask-SQLAlchemy makes it of ``Base`` at run time, so that it has no type."""


def discard() -> None:
    """Give back the connection of ``db.session`` and forget the session, whatever state they are in; never raises.

    Closing a session rolls back, and that fails when the database does not answer or the request has no time left. The
    connection is closed then, because nobody knows what it is in the middle of.
    """
    try:
        db.session.remove()
    except Exception as error:  # noqa: BLE001 - the response has been made, and nobody could answer for this
        # Without the message: it may quote a statement with its values.
        logger.error("a session could not be closed (%s): its connection is dropped", type(error).__name__)  # noqa: TRY400
        with suppress(Exception):
            db.session().invalidate()
        db.session.registry.clear()


_OPEN = "authapp.transaction"


@contextmanager
def transaction() -> Iterator["scoped_session[Any]"]:
    """Open a transaction: it commits at the end of the block, and rolls back when the block raises.

    Raises ``RuntimeError`` within another one, as in a receiver of ``user_changing`` that calls a use case: it would
    commit the other before its end.
    """
    state = db.session.info
    if state.get(_OPEN):
        raise RuntimeError("A use case was called within the transaction of another. Write its rows with db.session.")
    state[_OPEN] = True
    try:
        yield db.session
        db.session.commit()
    except BaseException:
        db.session.rollback()
        raise
    finally:
        state[_OPEN] = False


def read_one(statement: Executable, parameters: Mapping[str, Any] | None = None) -> Row[Any] | None:
    """Run one SELECT, give its connection back at once, and return the first row, or ``None``.

    For reads before work that takes long, such as a password hash: no connection may be held meanwhile. Within
    ``transaction`` it runs in that: another connection would neither see what it wrote, nor be there under load.

    Raises ``sqlalchemy.exc.SQLAlchemyError``.
    """
    if db.session.info.get(_OPEN):
        row: Row[Any] | None = db.session.execute(statement, parameters).first()
        return row
    with Session(db.engine, join_transaction_mode="create_savepoint") as session:
        return session.execute(statement, parameters).first()


def server_now() -> datetime:
    """Return PostgreSQL's current time.

    What is deleted because its time is over is judged by it: a host whose clock is fast would delete a revocation that
    is still needed. Raises ``sqlalchemy.exc.SQLAlchemyError``.
    """
    row = read_one(select(func.clock_timestamp()))
    if row is None:
        raise RuntimeError("a select without a table has a row")
    now: datetime = row[0]
    return now
