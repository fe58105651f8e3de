"""Ranges of indexes: what lists are read from, so that a page does the same work wherever its rows lie."""

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
class Range:
    """A range of one index, the greatest first, and what is selected there.

    ``fixed`` are the columns that the index begins with, each with the one value it has here; ``order`` are those that
    follow, to the last. ``since`` and ``until`` bound the first of these: what counts, and what no longer does.
    """

    rows: Select[Any]
    order: Sequence[Column]
    fixed: Mapping[Column, Any] = field(default_factory=dict)
    since: Any = None
    until: Any = None

    def following(self, after: Sequence[Any] | None, count: int) -> Select[Any]:
        """Return the statement for the next ``count`` rows behind ``after``, which are values of the order.

        Bounds and order name every column of the index, as a row (SQL, F641). Were the fixed ones compared by ``=``,
        PostgreSQL could also read an index of the order alone and filter what it finds. It does where a value is
        frequent, and reads everything up to the first match where that lies far away; nothing else has this order.
        """
        columns, values = [*self.fixed, *self.order], [*self.fixed.values()]
        first = _row(columns, [*values, *self._bound(self.since, _LEAST)])
        behind = after or self._bound(self.until, _LEAST if self.until else _GREATEST)
        place = tuple_(*columns)
        narrowed = self.rows.where(place >= first, place < _row(columns, [*values, *behind]))
        return narrowed.order_by(*(column.desc() for column in columns)).limit(count)

    def _bound(self, value: Any, otherwise: Mapping[type, Any]) -> list[Any]:
        bound = [otherwise[column.type.python_type] for column in self.order]
        return [value, *bound[1:]] if value else bound


def _row(columns: Sequence[Column], values: Sequence[Any]) -> Any:
    return tuple_(*(literal(value, column.type) for value, column in zip(values, columns, strict=True)))
