"""How many rows statements read."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event, text

from authapp.database.session import db

_READ = "SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = %s"


@contextmanager
def rows_read(table: str) -> Iterator[list[int]]:
    """Give the number of rows of ``table`` that each statement reads, as PostgreSQL counts them."""
    connection = db.session.connection()
    counts: list[int] = []
    total = 0

    def count(_connection: Any, cursor: Any, *_: Any) -> None:
        nonlocal total
        with cursor.connection.cursor() as other:
            other.execute(_READ, (table,))
            before, total = total, other.fetchone()[0]
        counts.append(total - before)

    event.listen(connection, "after_cursor_execute", count)
    try:
        connection.execute(text("SELECT"))
        counts.clear()
        yield counts
    finally:
        event.remove(connection, "after_cursor_execute", count)
