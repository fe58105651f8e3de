"""The directory: finding accounts, page by page, among however many there are."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, exists, select, true
from sqlalchemy.orm import InstrumentedAttribute

from authapp.domain.pages import Listing, Page, Pages
from authapp.extensions import db
from authapp.models import User, UserRole, UserStatus
from authapp.models.user import folded

ROUNDS = 5
"""How often a search looks further for a full page; then the page is short, and its cursor leads on."""


@dataclass(frozen=True, kw_only=True)
class UserFilter:
    """Which accounts are asked for; ``q`` is the beginning of a username or an email address, in any letter case."""

    q: str | None = None
    role: str | None = None
    status: UserStatus | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return what the role and the status ask of an account."""
        holds = exists().where(UserRole.user_id == User.id, UserRole.role_name == self.role)
        return [*([holds] if self.role else []), *([User.status == self.status] if self.status else [])]


class Directory:
    """The use cases of the directory."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def users(self, wanted: UserFilter, limit: int, cursor: str | None = None) -> Page[User]:
        """Return a page of the accounts that ``wanted`` describes: the newest first, or for a search by name.

        Raises ``ValidationFailed`` for a cursor that is not from this list.
        """
        if wanted.q:
            return self._search(wanted, folded(wanted.q), limit, cursor)
        listing = Listing("users", vars(wanted), (User.id,))
        users = select(User)
        if wanted.role:
            # From the holders of the role, in the order of their ids: one range of an index.
            users = users.join(UserRole, UserRole.user_id == User.id).where(UserRole.role_name == wanted.role)
            listing = Listing("users", vars(wanted), (UserRole.user_id,), attributes=("id",))
        if wanted.status:
            users = users.where(User.status == wanted.status)
        return self._pages.page(listing, [users], limit, cursor)

    def all(self) -> Iterator[User]:
        """Yield every account, the oldest first, without holding them all in memory."""
        yield from db.session.scalars(select(User).order_by(User.id).execution_options(yield_per=500))

    def _search(self, wanted: UserFilter, prefix: str, limit: int, cursor: str | None) -> Page[User]:
        """Walk through two indexes side by side, usernames and email addresses, in windows of a bounded size.

        However many accounts match the prefix and however few of them the other filters, a page reads a bounded number
        of entries. Whoever matches by both is shown at the username.
        """
        listing = Listing("users.search", vars(wanted), (User.username_key,))
        after = self._pages.position(listing, cursor)
        key: str | None = after[0] if after else None
        chosen: list[Any] = []
        for _ in range(ROUNDS):
            entries, horizon = _window(wanted, prefix, key, 4 * limit)
            for entry in entries:
                if entry.wanted:
                    chosen.append(entry.id)
                key = entry.key
                if len(chosen) == limit:
                    horizon = horizon or entry is not entries[-1]
                    break
            if len(chosen) == limit or not horizon:
                break
        by_id = {user.id: user for user in db.session.scalars(select(User).where(User.id.in_(chosen)))}
        more = self._pages.cursor(listing, [key]) if horizon else None
        return Page([by_id[each] for each in chosen if each in by_id], more)


def _window(wanted: UserFilter, prefix: str, after: str | None, size: int) -> tuple[list[Row[UUID, str, bool]], bool]:
    """Return the next entries in the order of their keys, and whether there may be more behind them."""
    streams = [
        db.session.execute(_entries(column, wanted, prefix, after, size)).all()
        for column in (User.username_key, User.email_key)
    ]
    full = [stream[-1].key for stream in streams if len(stream) == size]
    merged = list(heapq.merge(*streams, key=lambda entry: entry.key))
    # Behind the end of a full window the other stream may have gone on alone: that is for the next one.
    return ([entry for entry in merged if entry.key <= min(full)], True) if full else (merged, False)


def _entries(
    column: InstrumentedAttribute[str], wanted: UserFilter, prefix: str, after: str | None, size: int
) -> Select[UUID, str, bool]:
    matches = column.startswith(prefix, autoescape=True)
    shown = wanted.conditions()
    if column is not User.username_key:
        shown.append(~User.username_key.startswith(prefix, autoescape=True))
    entries = select(User.id, column.label("key"), and_(true(), *shown).label("wanted")).where(matches)
    if after is not None:
        entries = entries.where(column > after)
    return entries.order_by(column).limit(size)
