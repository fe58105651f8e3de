"""Pages of lists: together they are what a plain query finds, and none of them does more than a bounded work."""

import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import Engine, event, select, text, update
from tools.bench.lists import PAGES
from tools.seed import ACTIVE_ROLE, RARE_ROLE, seed

from authapp import clock
from authapp.context import OPERATOR
from authapp.database.session import db, transaction
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.audit.trail import EventFilter
from authapp.domain.pages import Page
from authapp.domain.services import Services
from authapp.domain.users import search
from authapp.domain.users.search import UserFilter
from authapp.models import AuditEvent, Role, User, UserStatus
from factories import GUEST, Api, a_session, a_user

START = datetime(2026, 1, 1, tzinfo=UTC)
ROLES = ["held-by-many", "held-by-few"]
TYPES = [EventType.SESSION_STARTED, EventType.SESSION_ENDED, EventType.USER_CHANGED]
SIZES = [(1, 2), (3, 7), (50, 300)]
"""Of a page and of a scan; the smaller scans end within pages, between them and before anything is found."""


def walked(page: Callable[[Any, int, str | None], Page[Any]], wanted: Any, limit: int) -> list[UUID]:
    """Walk to the end of what is ``wanted``, and return the ids in their order."""
    found: list[UUID] = []
    cursor: str | None = None
    while True:
        items, cursor = (step := page(wanted, limit, cursor)).items, step.next_cursor
        assert len(items) <= limit
        found += [item.id for item in items]
        assert len(found) == len(set(found)), wanted
        if cursor is None:
            return found


def some_people(app: Flask, seeded: random.Random) -> None:
    """Make accounts whose names begin alike in many ways, only some of them disabled or with the rarer role."""
    for role in ROLES:
        Services.of(app).roles.create(role, [], context=OPERATOR)
    names = ["".join(letters) for letters in itertools.product("aB", "ab_", "bA")]
    addresses = seeded.sample(names, len(names))
    for name, address in zip(names, addresses, strict=True):
        roles = [role for role, share in zip(ROLES, (0.7, 0.2), strict=True) if seeded.random() < share]
        user = a_user(app, name, email=f"{address}@example.com", roles=roles)
        if seeded.random() < 0.3:
            Services.of(app).administration.disable(user.id, OPERATOR)
        if seeded.random() < 0.6:
            db.session.execute(update(User).where(User.id == user.id).values(email_verified_at=clock.now()))
            db.session.commit()


def plainly(wanted: UserFilter) -> list[UUID]:
    """Return the ids of all that ``wanted`` describes, found by looking at each account."""
    everybody = [
        user
        for user in db.session.scalars(select(User).order_by(User.id.desc()))
        if (not wanted.role or wanted.role in user.roles) and (not wanted.status or wanted.status == user.status)
        if wanted.email_verified in {None, user.email_verified_at is not None}
    ]
    if not wanted.q:
        return [user.id for user in everybody]
    q = wanted.q.lower()
    keys = {user.id: [key for key in (user.username_key, user.email_key) if key.startswith(q)] for user in everybody}
    return sorted((user_id for user_id in keys if keys[user_id]), key=lambda user_id: min(keys[user_id]))


@pytest.mark.parametrize("number", range(3))
def test_the_pages_of_users_are_what_a_plain_look_finds(
    app: Flask, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    with app.app_context():
        some_people(app, random.Random(number))
        roles, statuses = [None, *ROLES, "nobody"], [None, *UserStatus]
        filters = itertools.product([None, "a", "A_", "b", "zz"], roles, statuses, [None, True, False])
        for (q, role, status, verified), (limit, scan_limit) in itertools.product(filters, SIZES):
            monkeypatch.setattr(search, "SCAN_LIMIT", scan_limit)
            wanted = UserFilter(q=q, role=role, status=status, email_verified=verified)
            found = walked(Services.of(app).user_search.search, wanted, limit)
            assert found == plainly(wanted), (wanted, limit, scan_limit)


def test_a_cursor_of_the_version_before_is_bound_to_the_filters_that_it_knew() -> None:
    assert UserFilter(q="a").bound() == {"q": "a", "role": None, "status": None}
    assert UserFilter(email_verified=False).bound()["email_verified"] is False


def test_the_first_page_of_a_search_is_not_empty_if_there_is_a_match(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "SCAN_LIMIT", 2)
    with app.app_context():
        some_people(app, random.Random(1))
        for q in ["a", "A_", "b", "bab"]:
            assert Services.of(app).user_search.search(UserFilter(q=q), 1).items, q


def some_events(seeded: random.Random, people: list[UUID]) -> None:
    """Write events, many of them at the same time."""
    for _ in range(60):
        occurred_at = START + timedelta(seconds=seeded.randrange(10))
        subject_id, actor_id = seeded.choice([None, *people]), seeded.choice([None, *people])
        with pytest.MonkeyPatch.context() as patch, transaction():
            patch.setattr(clock, "now", lambda occurred_at=occurred_at: occurred_at)
            audit.record(seeded.choice(TYPES), context=GUEST, subject_id=subject_id, actor_id=actor_id)


def test_the_pages_of_events_are_what_a_plain_look_finds(app: Flask) -> None:
    people = [UUID(int=number) for number in range(1, 4)]
    times = [None, START, START + timedelta(seconds=3), START + timedelta(seconds=8)]
    filters = itertools.product([None, *people], [None, *TYPES, EventType.KEY_ROTATED], times, times)
    with app.app_context():
        some_events(random.Random(1), people)
        everything = list(db.session.scalars(select(AuditEvent).order_by(AuditEvent.occurred_at, AuditEvent.id)))[::-1]
        for (user_id, of_type, since, until), limit in itertools.product(filters, [2, 25]):
            wanted = EventFilter(user_id=user_id, type=of_type, since=since, until=until)
            plain = [
                each.id
                for each in everything
                if (not user_id or user_id in {each.subject_id, each.actor_id})
                and (not of_type or of_type == each.type)
                and (not since or each.occurred_at >= since)
                and (not until or each.occurred_at < until)
            ]
            found = walked(Services.of(app).audit.events, wanted, limit)
            assert found == plain, (wanted, limit)


# --- the work of a page ---------------------------------------------------------------------------------------------

ROWS = 20_000
SMALL_SCAN = 50
MOST = 8 * SMALL_SCAN
"""How many rows the statements of one page may read, in tables and in indexes; scans, and what they find."""


@pytest.fixture
def many(app: Flask, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Seed many rows, and return the ids that the words in ``PAGES`` stand for."""
    monkeypatch.setattr(search, "SCAN_LIMIT", SMALL_SCAN)
    with app.app_context():
        connection = db.engine.raw_connection()
        seed(connection.driver_connection, users=ROWS, events=ROWS)
        connection.driver_connection.autocommit = False
        connection.close()
        subjects = select(AuditEvent.subject_id).limit(1)
        admin = db.session.scalar(select(User.id).order_by(User.id).limit(1))
        busy = db.session.scalar(subjects.order_by(AuditEvent.occurred_at))
        subject = db.session.scalar(subjects.order_by(AuditEvent.occurred_at.desc()))
    return {"ADMIN": str(admin), "BUSY": str(busy), "SUBJECT": str(subject)}


@contextmanager
def statements_of(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    """Collect the statements that are executed meanwhile, with their parameters."""
    statements: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)


def rows_read(engine: Engine, statements: list[tuple[str, Any]]) -> int:
    """Return how many rows the scans of ``statements`` read, those that they filter away among them."""
    with engine.connect() as connection:
        plans = [
            connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters).scalar_one()
            for statement, parameters in statements
        ]
    return sum(scanned(plan["Plan"]) for (plan,) in plans)


def scanned(node: dict[str, Any]) -> int:
    read = 0
    if "Relation Name" in node:
        removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        read = round((node["Actual Rows"] + removed) * node["Actual Loops"])
    return read + sum(scanned(child) for child in node.get("Plans", []))


def rows_of_pages(app: Flask, api: Api, known: dict[str, str], pages: dict[str, Any]) -> dict[str, list[int]]:
    """Return how many rows each of ``pages`` reads, and the page behind it."""
    token = a_session(app, a_user(app, "zoe", roles=["admin"])).access_token
    with app.app_context():
        engine = db.engine
    read: dict[str, list[int]] = {}
    for name, (path, query) in pages.items():
        asked = {key: known.get(value, value) for key, value in query.items()}
        for _ in range(2):
            with statements_of(engine) as statements:
                page = api.get(f"/{path}", token, query_string=asked).get_json()
            read.setdefault(name, []).append(rows_read(engine, statements))
            if not page.get("next_cursor"):
                break
            asked["cursor"] = page["next_cursor"]
    return read


@pytest.mark.committed
def test_no_page_reads_more_than_a_bounded_number_of_rows(app: Flask, api: Api, many: dict[str, str]) -> None:
    read = rows_of_pages(app, api, many, PAGES)
    assert {name: rows for name, rows in read.items() if max(rows) > MOST} == {}


@pytest.mark.committed
@pytest.mark.parametrize(
    ("change", "query"),
    [
        (
            "UPDATE users SET username_key = 'zz' || username_key WHERE username_key LIKE 'anna%'",
            {"q": "zz", "role": RARE_ROLE},
        ),
        ("UPDATE users SET username_key = 'zz' || username_key, email_key = 'zz' || email_key", {"q": "zz"}),
        (
            f"UPDATE roles SET name = 'new' WHERE name = '{ACTIVE_ROLE}'",
            {"role": "new", "status": "disabled"},
        ),
        (f"UPDATE roles SET deleted_at = now() WHERE name = '{ACTIVE_ROLE}'", {"role": ACTIVE_ROLE}),
    ],
    ids=["names of a role", "names", "roles", "a deleted role"],
)
def test_the_work_of_a_page_does_not_depend_on_what_postgresql_knows_of_the_rows(
    app: Flask, api: Api, many: dict[str, str], change: str, query: dict[str, str]
) -> None:
    with app.app_context():
        db.session.execute(text(change))
        db.session.commit()
    read = rows_of_pages(app, api, many, {"since then": ("users", query)})
    assert max(read["since then"]) <= MOST


def test_rows_that_are_left_of_a_deleted_role_pass_no_filter(app: Flask) -> None:
    with app.app_context():
        Services.of(app).roles.create("gone", [], context=OPERATOR)
        user = a_user(app, roles=["gone"])
        holders = select(User.id).where(UserFilter(role="gone").condition())
        # As a scan asks: on the connection, where nothing hides the rows.
        assert db.session.connection().scalars(holders).all() == [user.id]
        db.session.execute(update(Role).where(Role.name == "gone").values(deleted_at=clock.now()))
        assert db.session.connection().scalars(holders).all() == []


@pytest.mark.committed
@pytest.mark.parametrize(
    ("wanted", "most"),
    [
        (UserFilter(q="a", role=RARE_ROLE), 1),
        (UserFilter(q="bert", role=RARE_ROLE), 1),
        (UserFilter(q="a", role=RARE_ROLE, status=UserStatus.ACTIVE), 1),
        (UserFilter(role=RARE_ROLE, status=UserStatus.ACTIVE), 1),
        (UserFilter(role=ACTIVE_ROLE, status=UserStatus.DISABLED), ROWS // 50 // SMALL_SCAN + 1),
        (UserFilter(q="anna"), ROWS // 8 // 50 + ROWS // 8 // SMALL_SCAN + 1),
    ],
    ids=str,
)
def test_a_walk_goes_by_the_rarer_of_what_is_asked_for(
    app: Flask, many: dict[str, str], wanted: UserFilter, most: int
) -> None:
    with app.app_context():
        cursor, pages = Services.of(app).user_search.search(wanted, 50).next_cursor, 1
        while cursor and pages <= most:
            cursor, pages = Services.of(app).user_search.search(wanted, 50, cursor).next_cursor, pages + 1
    assert pages <= most
