"""Pages of lists, by keyset: a page costs the same wherever it is, because nothing before it is counted or skipped."""

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Generic, TypeVar
from uuid import UUID

from authapp.database.keyset import KeysetRange
from authapp.database.session import db
from authapp.errors import FieldError, ValidationFailed
from authapp.security.cursors import Cursors

T = TypeVar("T")

_READ: dict[type, Callable[[str], Any]] = {UUID: UUID, datetime: datetime.fromisoformat, str: str}


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some items of a list; ``next_cursor`` leads to those behind them, and is nothing at the end."""

    items: list[T]
    next_cursor: str | None


@dataclass(frozen=True)
class Listing:
    """One list: what it is called, what it was narrowed to, and what orders it, with the types.

    The names of ``keys`` are those that its items have for them.
    """

    name: str
    filters: Mapping[str, Any]
    keys: Mapping[str, type]


class Pages:
    """Cuts lists into pages."""

    def __init__(self, cursors: Cursors) -> None:
        self._cursors = cursors

    def page(self, listing: Listing, keysets: Sequence[KeysetRange], limit: int, cursor: str | None) -> Page[Any]:
        """Return up to ``limit`` entities of ``keysets``, which share no row and select one entity each.

        Raises ``ValidationFailed`` for a cursor that does not belong to this list.
        """
        after = self.position(listing, cursor)

        def key_of(item: Any) -> tuple[Any, ...]:
            return tuple(getattr(item, name) for name in listing.keys)

        found = [db.session.scalars(each.page(after, limit + 1)).all() for each in keysets]
        items = list(islice(heapq.merge(*found, key=key_of, reverse=True), limit + 1))
        if len(items) <= limit:
            return Page(items, None)
        return Page(items[:limit], self.cursor(listing, key_of(items[limit - 1])))

    def position(self, listing: Listing, cursor: str | None) -> list[Any] | None:
        """Return the values of the keys at ``cursor``. Raises ``ValidationFailed``."""
        if cursor is None:
            return None
        try:
            texts = self._cursors.read(listing.name, listing.filters, cursor)
        except ValueError as error:
            raise ValidationFailed(field_errors=[FieldError("#/query/cursor", str(error))]) from None
        return [_READ[kind](text) for kind, text in zip(listing.keys.values(), texts, strict=True)]

    def cursor(self, listing: Listing, position: Sequence[Any]) -> str:
        """Return the cursor that leads on from ``position``, the values of the keys of the last that was seen."""
        texts = [value.isoformat() if isinstance(value, datetime) else str(value) for value in position]
        return self._cursors.write(listing.name, listing.filters, texts)
