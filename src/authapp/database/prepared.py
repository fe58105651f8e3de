"""Statements that PostgreSQL plans once a connection, and not once a request.

psycopg2 has no prepared statements, so these are SQL's own (``PREPARE``, ``EXECUTE``). The name of one is made of its
text: whoever finds a statement of that name on a connection has found this one.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from psycopg2 import Error
from psycopg2.extensions import adapt
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import Executable
from sqlalchemy.types import NullType, TypeEngine

from authapp.database.waiting import BoundedConnection

DIALECT: Dialect = PGDialect_psycopg2()  # type: ignore[no-untyped-call]

_NO_SUCH_STATEMENT, _STATEMENT_EXISTS, _PLAN_IS_OUTDATED = "26000", "42P05", "0A000"


class Prepared:
    """A statement of SQLAlchemy Core, compiled once; its rows are named tuples."""

    def __init__(self, statement: Executable) -> None:
        """Take a ``statement`` that returns rows; what varies in it is a ``bindparam``."""
        compiled: Any = statement.compile(dialect=DIALECT)  # type: ignore[attr-defined]
        types = {name: bind.type for bind, name in compiled.bind_names.items()}
        self._writers = _processors(types, "bind_processor", DIALECT)
        given = [name for bind, name in compiled.bind_names.items() if bind.required]
        constants = {name: self._literal(compiled.params[name], name, types) for name in types if name not in given}
        self.text: str = str(compiled) % (constants | {name: f"%({name})s" for name in given})
        positional = str(compiled) % (constants | {name: f"${n}" for n, name in enumerate(given, start=1)})
        parameters = ", ".join(_type_name(types[name]) for name in given)
        self.name = "authapp_" + sha256(f"{parameters} {positional}".encode()).hexdigest()[:16]
        values = ", ".join(f"%({name})s" for name in given)
        self._execute = f"EXECUTE {self.name}" + (f"({values})" if given else "")
        prepare = f"PREPARE {self.name}" + (f"({parameters})" if given else "") + f" AS {positional}"
        # psycopg2 reads %% as a percent sign where there are parameters, and only there.
        self._prepare_and_execute = f"{prepare.replace('%', '%%') if given else prepare}; {self._execute}"
        if not given:
            self.text = self.text.replace("%%", "%")
        self._writers = {name: write for name, write in self._writers.items() if name in given}
        columns = {column.name: column.type for column in statement.exported_columns}  # type: ignore[attr-defined]
        self._readers = _processors(columns, "result_processor", DIALECT, None)
        self._row: Any = namedtuple("Row", columns)  # type: ignore[misc]  # noqa: PYI024 - its fields are known here

    def _literal(self, value: Any, name: str, types: Mapping[str, TypeEngine[Any]]) -> str:
        """Return what never varies as SQL, so that PostgreSQL sees it when it plans."""
        written = self._writers[name](value) if name in self._writers else value
        quoted: str = adapt(written).getquoted().decode("ascii")
        return f"{quoted.replace('%', '%%')}::{_type_name(types[name])}"

    def first(self, connection: BoundedConnection, parameters: Mapping[str, Any]) -> Any:
        """Run the statement on ``connection``, and return the first row, or ``None``. Raises ``psycopg2.Error``."""
        values = parameters
        if self._writers:
            values = {**parameters, **{name: write(parameters[name]) for name, write in self._writers.items()}}
        cursor = connection.cursor()
        self._run(cursor, connection.statements, values)
        found = cursor.fetchone()
        cursor.close()
        if found is None:
            return None
        row = self._row._make(found)
        if self._readers:
            row = row._replace(**{name: read(getattr(row, name)) for name, read in self._readers.items()})
        return row

    def _run(self, cursor: Any, known: set[str], values: Mapping[str, Any]) -> None:
        # Behind a pooler of transactions a connection is another one each time: it may have the statement though it
        # was not prepared by way of us, or not have it though it was. No error below comes after a statement has run.
        if self.name in known:
            try:
                cursor.execute(self._execute, values)
            except Error as error:
                if error.pgcode not in {_NO_SUCH_STATEMENT, _PLAN_IS_OUTDATED}:
                    raise
            else:
                return
        try:
            cursor.execute(self._prepare_and_execute, values)
        except Error as error:
            if error.pgcode != _STATEMENT_EXISTS:
                raise
            cursor.execute(self.text, values)
        known.add(self.name)


def _type_name(type_: TypeEngine[Any]) -> str:
    # Without its collation, which a parameter cannot have: the column's counts.
    return "unknown" if isinstance(type_, NullType) else type_.compile(dialect=DIALECT).partition(" COLLATE ")[0]


def _processors(types: Mapping[str, TypeEngine[Any]], kind: str, *arguments: Any) -> dict[str, Callable[[Any], Any]]:
    """Return what turns the values into PostgreSQL's, or back, of those types for which psycopg2 alone does not."""
    found = {name: getattr(type_.dialect_impl(DIALECT), kind)(*arguments) for name, type_ in types.items()}
    return {name: processor for name, processor in found.items() if processor is not None}
