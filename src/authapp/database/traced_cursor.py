"""The cursor of connections while traces are made: each statement is a span, named by what it does to which tables.

Neither a statement's text nor its parameters are in the span: psycopg2 may put the one into the other.
"""

import re
from functools import lru_cache
from typing import Any

from psycopg2 import Error
from psycopg2.extensions import cursor

from authapp.database.session import db
from authapp.tracing import Attributes, client_span

MAX_TABLES = 4
"""How many tables a span names."""

_QUOTED = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)
_EXECUTE = re.compile(r"\bEXECUTE (authapp_\w+)")
_PREPARE = re.compile(r"\bPREPARE (authapp_\w+)[^;]*? AS ")
_OPERATION = re.compile(r"\b(INSERT|(?<!FOR )(?<!FOR NO KEY )UPDATE|DELETE|SELECT)\b", re.IGNORECASE)
"""What a statement does. One that locks the rows it reads, ``FOR [NO KEY] UPDATE``, changes none."""

_TABLES = re.compile(
    r'\b(?:FROM|JOIN|INTO|UPDATE|USING)\s+(?:ONLY\s+)?((?:[\w".]+(?: AS \w+)?,\s*)*[\w".]+)', re.IGNORECASE
)
"""Matches where a statement names tables, one or a list, and other things, as in ``extract(year FROM created_at)``."""

_prepared: dict[str, tuple[str, Attributes]] = {}
"""The names and attributes of the spans of prepared statements, by the names of the statements: some dozens."""


class TracedCursor(cursor):
    """A cursor whose statements are spans."""

    def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002 - as psycopg2 names it
        """Run a statement, in a span within the current one, if there is one."""
        name, attributes = describe(query) if isinstance(query, str) else _BATCH
        with client_span(name, attributes) as span:
            try:
                super().execute(query, vars)
            except Error as error:
                if error.pgcode:
                    span.set_attribute("db.response.status_code", error.pgcode)
                raise


def describe(query: str) -> tuple[str, Attributes]:
    """Return the name and the attributes of the span of a statement (semantic conventions for databases).

    It names the tables that the application declares, and no others.
    A prepared statement whose text this process has not seen yet is a batch until it sees it.
    """
    read = _read(query)
    return _prepared.get(read, _BATCH) if isinstance(read, str) else read


@lru_cache(maxsize=1024)
def _read(query: str) -> tuple[str, Attributes] | str:
    """Return the name and the attributes of a statement; of one that is executed by its name, that name."""
    text = _QUOTED.sub("''", query)
    if prepare := _PREPARE.search(text):
        _prepared[prepare[1]] = _described(text[prepare.end() :].partition(";")[0])
    execute = _EXECUTE.search(text)
    return execute[1] if execute else _described(text)


def _described(text: str) -> tuple[str, Attributes]:
    operations = [found.upper() for found in _OPERATION.findall(text)]
    # A statement that changes rows is named by that, wherever it stands.
    changes = [each for each in operations if each != "SELECT"]
    operation = next(iter(changes or operations), None) or (text.split() or ["-"])[0].upper()[:16]
    named = (each.split()[0].replace('"', "") for found in _TABLES.findall(text) for each in found.split(","))
    tables = [each for each in dict.fromkeys(named) if each in db.metadata.tables][:MAX_TABLES]
    summary = " ".join([operation, *tables])
    return summary, {**_SYSTEM, "db.operation.name": operation, "db.query.summary": summary}


_SYSTEM = {"db.system.name": "postgresql"}
_BATCH: tuple[str, Attributes] = ("BATCH", {**_SYSTEM, "db.operation.name": "BATCH", "db.query.summary": "BATCH"})
