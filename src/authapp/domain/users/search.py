"""User search: pages of accounts, filtered by role, status, and the start of the username or email address."""

from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, select, true, union_all

from authapp.database.bounded_scan import ScanResult, bounded_scan
from authapp.database.keyset import IndexRange
from authapp.database.session import db
from authapp.domain.pages import Listing, Page, Pages
from authapp.models import User, UserRole, UserStatus
from authapp.models.role import is_live_role
from authapp.models.user import email_key, folded

SCAN_LIMIT = 300
"""How many candidates one scan tests. A higher limit makes fewer pages short, but makes those pages slower."""

_NAME_KEYS = (User.username_key, User.email_key)
"""The columns that are searched. Addresses contain ``@`` and usernames do not, so no key is in both columns."""

_ALL_USERS = IndexRange(rows=select(User), order=(User.id,))


@dataclass(frozen=True, kw_only=True)
class UserFilter:
    """Which accounts to list. ``q`` is the start of the username or the email address; case is ignored.

    ``email_verified`` is in no index: pages of it test a bounded number of accounts, and may be short.
    """

    q: str | None = None
    role: str | None = None
    status: UserStatus | None = None
    email_verified: bool | None = None

    def bound(self) -> dict[str, Any]:
        """Return the filters to which a cursor is bound."""
        filters = dict(vars(self))
        # Left out unless it is asked for, so that cursors of the version before stay good during an upgrade.
        if self.email_verified is None:
            del filters["email_verified"]
        return filters

    def index_ranges(self) -> list[IndexRange]:
        """Return one range for the accounts with the role, and one for those with the status, if these are set."""
        index_ranges = []
        if self.role:
            # Of a deleted role any number of rows may be left, and none of them is read.
            holders = select(User).join(UserRole, UserRole.user_id == User.id).where(is_live_role(self.role))
            index_ranges.append(
                IndexRange(rows=holders, fixed={UserRole.role_name: self.role}, order=(UserRole.user_id,))
            )
        if self.status:
            index_ranges.append(IndexRange(rows=select(User), fixed={User.status: self.status}, order=(User.id,)))
        return index_ranges

    def condition(self) -> ColumnElement[bool]:
        """Return the SQL condition that a row of ``users`` has the role, the status, and a verified address or none."""
        # A scalar subquery is one index lookup per row. PostgreSQL may turn EXISTS into a hash of all holders.
        holder = select(literal(True)).where(UserRole.user_id == User.id, UserRole.role_name == self.role)
        is_holder = holder.correlate(User).scalar_subquery()
        has_role = and_(is_live_role(self.role), is_holder) if self.role else true()
        # A service account has no address, so neither filter lists it.
        is_verified = {
            None: true(),
            True: User.email_verified_at.is_not(None),
            False: and_(User.email_verified_at.is_(None), User.email.is_not(None)),
        }[self.email_verified]
        # The role is tested last, because PostgreSQL stops at the first test that fails and the role needs a lookup.
        return and_(
            User.status == self.status if self.status else true(),
            is_verified,
            has_role,
        )


class UserSearch:
    """The use cases of searching accounts."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def search(self, user_filter: UserFilter, limit: int, cursor: str | None = None) -> Page[User]:
        """Return a page of the accounts that match, in descending order of their ids; with ``q``, by the matching name.

        The ids of accounts that were made here are in the order of time, so the newest come first; those that an import
        has kept need not be. A page may be short or empty although it has a cursor to the next one.

        Raises ``ValidationFailed`` for a cursor that was not created for this filter.
        """
        listing = Listing("users", user_filter.bound(), {"key": str} if user_filter.q else {"id": UUID})
        index_ranges = user_filter.index_ranges() or [_ALL_USERS]
        if len(index_ranges) == 1 and not user_filter.q and user_filter.email_verified is None:
            return self._pages.page(listing, index_ranges, limit, cursor)
        after = self._pages.position(listing, cursor)
        scan = _scan_names(user_filter, user_filter.q, after) if user_filter.q else _scan_filters(user_filter, after)
        return self._page(listing, scan, limit)

    def iterate_all(self) -> Iterator[User]:
        """Yield all accounts, in the order of their ids, without loading them all into memory."""
        yield from db.session.scalars(select(User).order_by(User.id).execution_options(yield_per=500))

    def _page(self, listing: Listing, scan: ScanResult, limit: int) -> Page[User]:
        """Return a page of the first ``limit`` accounts that passed, with the cursor of the next page."""
        rows = scan.passed[:limit]
        ids = [row.id for row in rows]
        users = db.session.scalars(select(User).where(User.id.in_(ids))) if ids else ()
        resume_after = [rows[-1].key] if len(scan.passed) > limit else scan.resume_after
        next_cursor = self._pages.cursor(listing, resume_after) if resume_after else None
        return Page(sorted(users, key=lambda user: ids.index(user.id)), next_cursor)


def _scan_filters(user_filter: UserFilter, after: list[Any] | None) -> ScanResult:
    """Scan the accounts with the role, and the accounts with the status; return the scan that got further.

    Without either, scan all accounts. No index covers both filters. Each scan finds all matches up to the point where
    it stops, so the scan that got further includes the matches of the other. It is the scan of the rarer filter, whose
    accounts are further apart.
    """
    scans = []
    for index_range in user_filter.index_ranges() or [_ALL_USERS]:
        scan = _scan_range(index_range, after, User.id, user_filter.condition())
        if scan.resume_after is None:
            return scan
        scans.append(scan)
    return min(scans, key=attrgetter("resume_after"))


def _scan_names(user_filter: UserFilter, q: str, after: list[Any] | None) -> ScanResult:
    """Scan the usernames and the email addresses that start with ``q``, merged into one order.

    If both of an account match, it is listed at the smaller key, and fails the test at the other key.
    """
    last_key = after[0] if after else ""
    start = email_key(q) if "@" in q else folded(q)
    begins = {key: key.startswith(start, autoescape=True) for key in _NAME_KEYS}
    # CASE is NULL for a key that does not match, and LEAST ignores NULL.
    matched_key = func.least(*(case((begins[key], key)) for key in _NAME_KEYS))

    # If a filter matches so few accounts that one scan sees all of them, the scan has found all matches.
    for index_range in user_filter.index_ranges():
        scan = _scan_range(index_range, None, matched_key, and_(matched_key > last_key, user_filter.condition()))
        if scan.resume_after is None:
            return ScanResult(sorted(scan.passed, key=attrgetter("key")), None)

    by_key = [
        _candidates(
            select(User).where(begins[key], key > last_key).order_by(key).limit(SCAN_LIMIT),
            key,
            and_(key == matched_key, user_filter.condition()),
        )
        for key in _NAME_KEYS
    ]
    return bounded_scan(db.session.connection(), union_all(*by_key).order_by("key"), SCAN_LIMIT)


def _scan_range(index_range: IndexRange, after: list[Any] | None, key: Any, passes: ColumnElement[bool]) -> ScanResult:
    candidates = _candidates(index_range.page(after, SCAN_LIMIT), key, passes)
    return bounded_scan(db.session.connection(), candidates, SCAN_LIMIT)


def _candidates(accounts: Select[Any], key: Any, passes: ColumnElement[bool]) -> Select[Any]:
    return accounts.with_only_columns(case((passes, User.id)).label("id"), key.label("key"))
