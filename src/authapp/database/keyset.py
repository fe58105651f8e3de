"""Keyset pages: each page is read from a range of one index and costs the same, wherever its rows are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, literal, tuple_
from sqlalchemy.orm import InstrumentedAttribute

Column = InstrumentedAttribute[Any]

_LEAST: dict[type, Any] = {UUID: UUID(int=0), datetime: datetime.min.replace(tzinfo=UTC)}
_GREATEST: dict[type, Any] = {UUID: UUID(int=2**128 - 1), datetime: datetime.max.replace(tzinfo=UTC)}


@dataclass(frozen=True, kw_only=True)
class KeysetRange:
    """A range of one index, read from the greatest key down.

    ``rows`` is what to select. ``fixed`` are the leading columns of the index, each with its one value; ``order`` are
    all columns after them, which sort the rows. ``since`` (inclusive) and ``until`` (exclusive) bound the first of
    ``order``.
    """

    rows: Select[Any]
    order: Sequence[Column]
    fixed: Mapping[Column, Any] = field(default_factory=dict)
    since: Any = None
    until: Any = None

    def page(self, after: Sequence[Any] | None, limit: int) -> Select[Any]:
        """Return the statement for the next ``limit`` rows after ``after``, one value for each column of ``order``.

        The bounds and ORDER BY name every column of the index, as a row value (SQL, F641). With ``=`` on the fixed
        columns, PostgreSQL may instead walk an index on ``order`` alone and filter: it does so for frequent values,
        and then reads everything before the first match. No other index has the order of the whole row.
        """
        columns, values = [*self.fixed, *self.order], [*self.fixed.values()]
        lower = _row(columns, [*values, *self._bound(self.since, _LEAST)])
        upper = _row(columns, [*values, *(after or self._bound(self.until, _LEAST if self.until else _GREATEST))])
        key = tuple_(*columns)
        return self.rows.where(key >= lower, key < upper).order_by(*(column.desc() for column in columns)).limit(limit)

    def _bound(self, value: Any, otherwise: Mapping[type, Any]) -> list[Any]:
        bound = [otherwise[column.type.python_type] for column in self.order]
        return [value, *bound[1:]] if value else bound


def _row(columns: Sequence[Column], values: Sequence[Any]) -> Any:
    return tuple_(*(literal(value, column.type) for value, column in zip(values, columns, strict=True)))
