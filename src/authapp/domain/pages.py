"""Keyset paging of lists: every page costs the same, because the rows before it are neither counted nor skipped."""

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Generic, TypeVar
from uuid import UUID

from authapp.database.keyset import IndexRange
from authapp.database.session import db
from authapp.errors import FieldError, ValidationFailed
from authapp.security.cursors import Cursors

T = TypeVar("T")

_PARSERS: dict[type, Callable[[str], Any]] = {UUID: UUID, datetime: datetime.fromisoformat, str: str}


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some items of a list. ``next_cursor`` is the cursor of the next page, or ``None`` at the end."""

    items: list[T]
    next_cursor: str | None


@dataclass(frozen=True)
class Listing:
    """A list to page: its name, its filters, and the sort keys with their types.

    The names in ``keys`` are attributes of the items.
    """

    name: str
    filters: Mapping[str, Any]
    keys: Mapping[str, type]


class Pages:
    """Reads pages of lists."""

    def __init__(self, cursors: Cursors) -> None:
        self._cursors = cursors

    def page(self, listing: Listing, index_ranges: Sequence[IndexRange], limit: int, cursor: str | None) -> Page[Any]:
        """Return a page of up to ``limit`` entities from ``index_ranges``.

        The ranges must be disjoint, and each must select one entity per row. Raises ``ValidationFailed`` for a cursor
        that does not belong to this list.
        """
        after = self.position(listing, cursor)

        def key_of(item: Any) -> tuple[Any, ...]:
            return tuple(getattr(item, name) for name in listing.keys)

        results = [db.session.scalars(index_range.page(after, limit + 1)).all() for index_range in index_ranges]
        items = list(islice(heapq.merge(*results, key=key_of, reverse=True), limit + 1))
        if len(items) <= limit:
            return Page(items, None)
        return Page(items[:limit], self.cursor(listing, key_of(items[limit - 1])))

    def position(self, listing: Listing, cursor: str | None) -> list[Any] | None:
        """Return the values of the keys at ``cursor``, or ``None`` without one. Raises ``ValidationFailed``."""
        if cursor is None:
            return None
        try:
            texts = self._cursors.read(listing.name, listing.filters, cursor)
        except ValueError as error:
            raise ValidationFailed(field_errors=[FieldError("#/query/cursor", str(error))]) from None
        return [_PARSERS[kind](text) for kind, text in zip(listing.keys.values(), texts, strict=True)]

    def cursor(self, listing: Listing, position: Sequence[Any]) -> str:
        """Return the cursor of the page after ``position``, the values of the keys of the last item."""
        texts = [value.isoformat() if isinstance(value, datetime) else str(value) for value in position]
        return self._cursors.write(listing.name, listing.filters, texts)
