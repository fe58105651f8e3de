"""Accounts that nobody ever verified are pruned, whether or not the address was free, and no others."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import delete, func, select, text, update

from authapp.context import OPERATOR
from authapp.database.session import db, transaction
from authapp.domain import pruning
from authapp.domain.services import Services
from authapp.domain.users import never_verified
from authapp.domain.users.administration import Changes
from authapp.models import User, UserRole
from authapp.models.role import ADMIN
from clocks import Time
from conftest import reconfigured
from factories import GUEST, PASSWORD, a_service, a_user, all_events, an_api_key
from rows_read import rows_read
from settings import MAIL

pytestmark = pytest.mark.verified

PG_CRON = Path(__file__).parents[2] / "deploy" / "pg_cron.sql"
DAYS = timedelta(days=30)
ROWS, BATCH = 3_000, 50

DUE = """
    INSERT INTO users (id, username, username_key, email, email_key, status, last_login_at,
        created_at, updated_at, prune_checked_at)
    SELECT gen_random_uuid(), :name || n, :name || n, :name || n || '@a.example', :name || n || '@a.example', 'active',
        :last_login_at, due, due, due
    FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) AS n,
        LATERAL (SELECT now() - interval '60 days' + n * interval '1 s' AS due) AS times
"""


def register(app: Flask, name: str, email: str | None = None) -> None:
    names = {"username": name, "email": email or f"{name}@example.com"}
    Services.of(app).email.verified_registrations.register(**names, password=PASSWORD, context=GUEST)


def left() -> set[str]:
    return set(db.session.scalars(select(User.username)))


def prune(app: Flask) -> int:
    return Services.of(app).pruning.prune().get("unverified_accounts", 0)


def prune_in_the_database(_app: Flask) -> int:
    """Run the job until it finds no more, as it would within hours."""
    (statement,) = re.findall(r"'authapp-prune-unverified-accounts'.*\$\$(.*)\$\$", PG_CRON.read_text())
    total = 0
    for _ in range(2 * ROWS // BATCH):
        with transaction():
            total += db.session.connection().execute(text(statement.replace("LIMIT 5000", f"LIMIT {BATCH}"))).rowcount
    return total


def set_age(age: timedelta, *names: str) -> None:
    """Let accounts be so old by both clocks: that of a test's transaction stands still, too."""
    with transaction():
        created = func.now() - age
        ages = dict.fromkeys(("updated_at", "prune_checked_at"), created)
        db.session.execute(update(User).where(User.username.in_(names)).values(ages))


@pytest.mark.parametrize("run", [prune, prune_in_the_database])
def test_those_that_were_left_behind_go_and_each_leaves_an_event(
    app: Flask, time: Time, run: Callable[[Flask], int]
) -> None:
    kept = {"grace", "moved", "admin", "used", "young", "reports", "keyed", "imported"}
    with app.app_context():
        services = Services.of(app)
        for name in ("grace", "moved"):
            a_user(app, name)
            services.email.verifications.mark(name, OPERATOR)
        services.administration.change("moved", Changes(email="mistyped@example.com"), OPERATOR)
        a_user(app, "admin", roles=[ADMIN])
        a_service(app, "reports")
        an_api_key(app, a_user(app, "keyed"))
        a_user(app, "used")
        a_user(app, "imported")
        with transaction():
            db.session.execute(update(User).where(User.username == "used").values(last_login_at=time.now))
            db.session.execute(update(User).where(User.username == "imported").values(imported_at=time.now))
        for name, email in (("young", None), ("free", None), ("taken", "grace@example.com")):
            register(app, name, email)
        time.now = db.session.scalar(select(func.now())) or time.now
        set_age(DAYS + timedelta(seconds=1), *kept, "free", "taken")
        set_age(DAYS, "young")
        assert run(app) == 2
        assert left() == kept
    deleted = all_events(app, "user.deleted")
    details = [{"username": name, "reason": "never_verified"} for name in ("free", "taken")]
    assert sorted((each.details for each in deleted), key=lambda each: str(each["username"])) == details
    assert all(each.subject_id is not None and each.actor_id is None for each in deleted)


def test_there_may_be_more_than_fit_a_batch(app: Flask, time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(never_verified, "BATCH", 2)
    with app.app_context():
        for number in range(5):
            a_user(app, f"user{number}")
        time.passes(DAYS + timedelta(minutes=1))
        assert prune(app) == 5
        assert left() == set()


@pytest.mark.parametrize(
    "changes", [{"unverified_account_days": 0}, {"email_verification": "optional"}, {"email_verification": "off"}]
)
def test_none_goes_where_that_is_off_or_nobody_has_to_verify(
    app: Flask, time: Time, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    a_user(app, "ada")
    reconfigured(app, monkeypatch, **MAIL | {"email_verification": "required"} | changes)
    time.passes(days=4000)
    with app.app_context():
        assert "unverified_accounts" not in Services.of(app).pruning.prune()
        assert left() == {"ada"}


def make_due(*, kept: range, others: range) -> None:
    with transaction() as session:
        for numbers, name, last_login_at in ((kept, "kept", "-infinity"), (others, "other", None)):
            accounts = {"name": name, "last_login_at": last_login_at}
            session.execute(text(DUE), accounts | {"first": numbers.start, "last": numbers.stop - 1})
        session.execute(text("ANALYZE users"))
        # So small a table would be read as a whole, whatever the statement asks for.
        session.execute(text("SET LOCAL enable_seqscan = off"))


@pytest.mark.parametrize("run", [prune, prune_in_the_database])
@pytest.mark.parametrize(
    ("kept", "others"),
    [(range(10), range(10, ROWS)), (range(ROWS // 2), range(ROWS // 2, ROWS)), (range(ROWS), range(0))],
    ids=["few kept", "half kept", "all kept"],
)
def test_after_a_backlog_a_batch_reads_no_more_than_its_rows(
    app: Flask, monkeypatch: pytest.MonkeyPatch, run: Callable[[Flask], int], kept: range, others: range
) -> None:
    monkeypatch.setattr(never_verified, "BATCH", BATCH)
    with app.app_context():
        make_due(kept=kept, others=others)
        with rows_read("users") as counts:
            assert run(app) == len(others)
        assert max(counts) <= 4 * BATCH
        assert sum(counts) <= 4 * ROWS
        assert db.session.scalar(select(func.count()).select_from(User)) == len(kept)
        assert run(app) == 0


def test_an_account_in_use_is_looked_at_again(app: Flask, time: Time) -> None:
    a_user(app, "ada", roles=[ADMIN])
    for has_role in (True, False):
        time.passes(DAYS + timedelta(minutes=1))
        with app.app_context():
            if not has_role:
                with transaction():
                    db.session.execute(delete(UserRole))
            assert 59 < Services.of(app).pruning.overdue_seconds()["users"] <= 60
            assert prune(app) == int(not has_role)
            assert Services.of(app).pruning.overdue_seconds()["users"] == 0


def test_one_that_was_changed_has_its_time_anew(app: Flask, time: Time) -> None:
    a_user(app, "ada")
    time.passes(days=20)
    with app.app_context():
        Services.of(app).administration.change("ada", Changes(email="other@example.com"), OPERATOR)
        time.passes(days=20)
        assert prune(app) == 0
        time.passes(DAYS + timedelta(minutes=1))
        assert prune(app) == 1


def test_they_are_found_by_an_index(app: Flask) -> None:
    with app.app_context(), transaction():
        rows, *_ = never_verified.never_verified(30)
        oldest = select(User.id).where(rows.condition(pruning.server_now())).order_by(User.prune_checked_at).limit(10)
        sql = oldest.compile(db.engine, compile_kwargs={"literal_binds": True})
        db.session.execute(text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join(db.session.scalars(text(f"EXPLAIN {sql}")))
    assert "Index Scan using ix_users_prune_checked_at on users" in plan
    assert "Sort" not in plan


@pytest.mark.committed
def test_an_account_that_is_being_verified_is_skipped_and_not_waited_for(app: Flask) -> None:
    with app.app_context():
        for name in ("ada", "grace"):
            register(app, name)
        set_age(2 * DAYS, "ada", "grace")
        with db.engine.connect() as verification:
            verification.execute(text("SELECT FROM users WHERE username = 'ada' FOR UPDATE"))
            assert (prune(app), left()) == (1, {"ada"})
        assert (prune(app), left()) == (1, set())
