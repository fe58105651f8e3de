"""Keyset paging: each page is read from a range of one index, and costs the same at any position in the list."""

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
class IndexRange:
    """A range of one index, read in descending order.

    ``rows`` is the statement to page. ``fixed`` maps the leading columns of the index to one value each. ``order`` are
    all the columns after them, which sort the rows. ``since`` (inclusive) and ``until`` (exclusive) bound the first
    column of ``order``.
    """

    rows: Select[Any]
    order: Sequence[Column]
    fixed: Mapping[Column, Any] = field(default_factory=dict)
    since: Any = None
    until: Any = None

    def page(self, after: Sequence[Any] | None, limit: int) -> Select[Any]:
        """Return the statement for the next ``limit`` rows after ``after``, which has a value for each of ``order``.

        The bounds and ORDER BY name every column of the index, as a row value (SQL, F641), so that only this index
        fits. With ``=`` on the fixed columns, PostgreSQL may choose to scan an index on ``order`` alone and filter. It
        does so for frequent values, and then reads everything before the first match.
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
