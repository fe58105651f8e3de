"""The directory: finding accounts, page by page, among however many there are."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, FromClause, Select, asc, desc, func, literal, select

from authapp.domain import windows
from authapp.domain.pages import Listing, Page, Pages
from authapp.domain.ranges import Range
from authapp.domain.windows import Window, look
from authapp.extensions import db
from authapp.models import User, UserRole, UserStatus
from authapp.models.user import folded

NAMES = ("username", "email")
"""What a search looks through, one after the other; who is found by both is shown where they are found first.

Merged into one order, pages would begin empty wherever addresses come before the usernames of the same accounts.
"""

Found = tuple[Sequence[Any], UUID]
"""Where an account is in the order of a list, and which it is."""

Passing = ColumnElement[Any]


@dataclass(frozen=True, kw_only=True)
class UserFilter:
    """Which accounts are asked for; ``q`` is the beginning of a username or an email address, in any letter case."""

    q: str | None = None
    role: str | None = None
    status: UserStatus | None = None

    def holders(self, rows: Select[Any]) -> Range:
        """Return the range of those who have the role, the newest first."""
        return Range(rows=rows, fixed={UserRole.role_name: self.role}, order=(UserRole.user_id,))

    def of_status(self, rows: Select[Any]) -> Range:
        """Return the range of all, or of those who have the status, the newest first."""
        return Range(rows=rows, fixed={User.status: self.status} if self.status else {}, order=(User.id,))

    def holds(self, user_id: ColumnElement[UUID]) -> Passing:
        """Return whether a user has the role."""
        # A scalar subquery is one look at the key for each row; EXISTS may become a hash of all who hold the role.
        held = select(literal(True)).where(UserRole.user_id == user_id, UserRole.role_name == self.role)
        return held.scalar_subquery()

    def has_status(self, user_id: ColumnElement[UUID]) -> Passing:
        """Return whether a user has the status."""
        return select(User.status == self.status).where(User.id == user_id).scalar_subquery()


class Directory:
    """The use cases of the directory."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def users(self, wanted: UserFilter, limit: int, cursor: str | None = None) -> Page[User]:
        """Return a page of the accounts that ``wanted`` describes: the newest first, or for a search by name.

        A page may be short, or empty, though its cursor leads on. Raises ``ValidationFailed`` for a cursor that is not
        from this list.
        """
        if wanted.q:
            return self._search(wanted, folded(wanted.q), limit, cursor)
        listing = Listing("users", vars(wanted), {"id": UUID})
        if wanted.role and wanted.status:
            return self._holders_of_status(listing, wanted, limit, cursor)
        if wanted.role:
            found = wanted.holders(select(User).join(UserRole, UserRole.user_id == User.id))
        else:
            found = wanted.of_status(select(User))
        return self._pages.page(listing, [found], limit, cursor)

    def all(self) -> Iterator[User]:
        """Yield every account, the oldest first, without holding them all in memory."""
        yield from db.session.scalars(select(User).order_by(User.id).execution_options(yield_per=500))

    def _holders_of_status(self, listing: Listing, wanted: UserFilter, limit: int, cursor: str | None) -> Page[User]:
        """Look at the next holders of the role and the next accounts of the status, and take what leads further.

        No index covers the two, which are of two tables. The rarer lie further apart: where few have the one or the
        other, few pages do.
        """
        after = self._pages.position(listing, cursor)
        window = _look_at(wanted.holders(_IDS_OF_HOLDERS), after, wanted.has_status, limit + 1)
        if window.horizon and len(window.found) <= limit:
            other = _look_at(wanted.of_status(_IDS), after, wanted.holds, limit + 1)
            if not other.horizon or len(other.found) > limit or other.horizon < window.horizon:
                window = other
        found = [([row.key], row.id) for row in window.found]
        return self._page(listing, found, [window.horizon] if window.horizon else None, limit)

    def _search(self, wanted: UserFilter, prefix: str, limit: int, cursor: str | None) -> Page[User]:
        """Look at the usernames that begin so, and behind them at the email addresses."""
        listing = Listing("users.search", vars(wanted), {"name": str, "key": str})
        begun, after = self._pages.position(listing, cursor) or (NAMES[0], None)
        people = _few(wanted)
        found: list[Found] = []
        horizon: list[Any] | None = None
        for name in NAMES[NAMES.index(begun) :]:
            entries, passes = _beginning(people, name, prefix, after), _passing(wanted, name, prefix)
            window = look(entries, passes, asc, limit + 1 - len(found))
            found += [([name, row.key], row.id) for row in window.found]
            after, horizon = None, [name, window.horizon] if window.horizon else None
            if horizon or len(found) > limit:
                break
        return self._page(listing, found, horizon, limit)

    def _page(self, listing: Listing, found: Sequence[Found], horizon: Sequence[Any] | None, limit: int) -> Page[User]:
        """Return the accounts that were found, and the cursor to what is behind them."""
        chosen = [user_id for _, user_id in found[:limit]]
        users = db.session.scalars(select(User).where(User.id.in_(chosen))) if chosen else ()
        by_id = {user.id: user for user in users}
        behind = found[limit - 1][0] if len(found) > limit else horizon
        more = self._pages.cursor(listing, behind) if behind else None
        return Page([by_id[each] for each in chosen if each in by_id], more)


def _look_at(range_: Range, after: list[Any] | None, passes: Callable[[Any], Passing], count: int) -> Window:
    return look(lambda size: range_.following(after, size), lambda row: [passes(row.id)], desc, count)


def _few(wanted: UserFilter) -> FromClause:
    """Return where to search: among all, or where a filter leaves no more than a window holds, among those alone."""
    filters = [wanted.holders(_IDS_OF_HOLDERS)] if wanted.role else []
    filters += [wanted.of_status(_IDS)] if wanted.status else []
    for each in filters:
        ids = each.following(None, windows.WINDOW + 1).subquery()
        if db.session.scalars(select(func.count()).select_from(ids)).one() <= windows.WINDOW:
            # Materialized: PostgreSQL could go through all names instead, and look for each among the few.
            few: FromClause = select(*_PEOPLE).join(ids, ids.c.id == User.id).cte("few").prefix_with("MATERIALIZED")
            return few
    people: FromClause = User.__table__
    return people


def _beginning(people: FromClause, name: str, prefix: str, after: str | None) -> Callable[[int], Select[Any]]:
    """Return the statement for those in ``people`` whose name begins so, as far as ``look`` asks."""
    key = people.c[f"{name}_key"]
    entries = select(people.c.id, people.c.status, people.c.username_key, key.label("key"))
    entries = entries.where(key.startswith(prefix, autoescape=True)).order_by(key)
    return (entries if after is None else entries.where(key > after)).limit


def _passing(wanted: UserFilter, name: str, prefix: str) -> Callable[[Any], list[Passing]]:
    """Return the conditions for what ``look`` looks at."""

    def passing(row: Any) -> list[Passing]:
        return [
            *([wanted.holds(row.id)] if wanted.role else []),
            *([row.status == wanted.status] if wanted.status else []),
            # Those were found by their usernames.
            *([~row.username_key.startswith(prefix, autoescape=True)] if name != NAMES[0] else []),
        ]

    return passing


_IDS_OF_HOLDERS: Any = select(UserRole.user_id.label("id"), UserRole.user_id.label("key"))
_IDS: Any = select(User.id, User.id.label("key"))
_PEOPLE = (User.id, User.status, User.username_key, User.email_key)
