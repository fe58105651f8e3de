"""What is read from the database when the metrics are asked for: how large the tables are, and which mails wait."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from authapp.database.session import db
from authapp.domain.mail.queue import read_queue

# The catalog's own estimate of the rows: to count them would take as long as the tables are large.
_TABLES = text("""
    SELECT relname, pg_total_relation_size(oid) AS bytes, greatest(reltuples, 0) AS rows
    FROM pg_class WHERE oid = ANY (ARRAY(SELECT to_regclass(quote_ident(name)) FROM unnest(:names) AS name))
""")


@dataclass(frozen=True)
class TableSize:
    """The size of a table with its indexes, in bytes, and about how many rows it has."""

    name: str
    bytes: int
    rows: int


@dataclass(frozen=True)
class Statistics:
    """The sizes of tables; how many mails wait, and for how many seconds the oldest has."""

    tables: tuple[TableSize, ...]
    queued_mails: int
    oldest_mail_seconds: int


def read_statistics() -> Statistics | None:
    """Return the statistics, or ``None`` if the database cannot be asked."""
    try:
        rows = db.session.execute(_TABLES, {"names": sorted(db.metadata.tables)})
        tables = tuple(TableSize(row.relname, row.bytes, int(row.rows)) for row in rows)
        queue = read_queue()
    except SQLAlchemyError:
        return None
    finally:
        db.session.remove()
    return Statistics(tables, queue.queued, queue.oldest_seconds)
