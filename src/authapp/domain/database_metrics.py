"""What is read from the database when the metrics are asked for: how large the tables are, and which mails wait."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from authapp import clock
from authapp.database import deadline
from authapp.database.connect import DIALECT
from authapp.database.errors import sqlstate
from authapp.database.reasons import reason
from authapp.database.session import db, discard
from authapp.models import OutgoingMail

T = TypeVar("T")

logger = logging.getLogger(__name__)

READING_SECONDS = 2.0
"""How long the database may take for a reading."""

MAX_MAILS = 10_000
"""How many mails are looked at: a scrape must not take longer, the more of them wait."""

# The catalog's own estimate of the rows: to count them would take as long as the tables are large.
_TABLES = text("""
    SELECT name, pg_total_relation_size(oid) AS bytes, greatest(reltuples, 0) AS rows
    FROM unnest(:names, :quoted) AS declared (name, quoted) JOIN pg_class ON oid = to_regclass(quoted)
""")


@dataclass(frozen=True)
class TableSize:
    """The size of a table with its indexes, in bytes, and about how many rows it has.

    ``name`` has the schema in front, if the table is declared with one.
    """

    name: str
    bytes: int
    rows: int


@dataclass(frozen=True)
class WaitingMails:
    """How many mails wait, up to ``MAX_MAILS``, and for how many seconds the oldest of them has."""

    count: int
    oldest_seconds: float


def read(reading: Callable[[], T]) -> T | None:
    """Return the result of one of the functions below, or ``None`` if the database cannot be asked; that is logged."""
    try:
        with deadline.within(READING_SECONDS):
            return reading()
    except SQLAlchemyError as error:
        why, state = reason(error) or type(error).__name__, sqlstate(error)
        logger.warning("metrics cannot be read from the database: %s (SQLSTATE %s)", why, state)
        return None
    finally:
        discard()


def is_answering() -> bool:
    """Return true. Raises ``SQLAlchemyError``."""
    return db.session.scalar(select(1)) == 1


def table_sizes() -> list[TableSize]:
    """Return the size of every table that the application declares. Raises ``SQLAlchemyError``."""
    tables = db.metadata.tables
    quoted = [DIALECT.identifier_preparer.format_table(table) for table in tables.values()]
    rows = db.session.execute(_TABLES, {"names": list(tables), "quoted": quoted})
    return [TableSize(row.name, row.bytes, int(row.rows)) for row in rows]


def waiting_mails() -> WaitingMails:
    """Return the state of the outbox. Raises ``SQLAlchemyError``."""
    some = select(OutgoingMail.created_at).limit(MAX_MAILS).subquery()
    count, oldest_at = db.session.execute(select(func.count(), func.min(some.c.created_at)).select_from(some)).one()
    return WaitingMails(count, (clock.now() - oldest_at).total_seconds() if oldest_at else 0)
