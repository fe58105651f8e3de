"""Accounts that nobody ever verified are pruned, whether or not the address was free, and no others."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select, text, update

from authapp.context import OPERATOR
from authapp.database.session import db, transaction
from authapp.domain import pruning
from authapp.domain.services import Services
from authapp.domain.users import never_verified
from authapp.domain.users.administration import Changes
from authapp.models import User
from authapp.models.role import ADMIN
from clocks import Time
from conftest import reconfigured
from factories import GUEST, PASSWORD, a_service, a_user, all_events, an_api_key
from settings import MAIL

pytestmark = pytest.mark.verified

PG_CRON = Path(__file__).parents[2] / "deploy" / "pg_cron.sql"
DAYS = timedelta(days=30)


def register(app: Flask, name: str, email: str | None = None) -> None:
    names = {"username": name, "email": email or f"{name}@example.com"}
    Services.of(app).email.verified_registrations.register(**names, password=PASSWORD, context=GUEST)


def left() -> set[str]:
    return set(db.session.scalars(select(User.username)))


def prune(app: Flask) -> int:
    return Services.of(app).pruning.prune().get("unverified_accounts", 0)


def prune_in_the_database(_app: Flask) -> int:
    (statement,) = re.findall(r"\$\$(WITH batch AS \(SELECT id FROM users .*)\$\$", PG_CRON.read_text())
    with transaction():
        removed: int = db.session.connection().execute(text(statement)).rowcount
    return removed


def set_age(age: timedelta, *names: str) -> None:
    """Let accounts be so old by both clocks: that of a test's transaction stands still, too."""
    with transaction():
        created = func.now() - age
        db.session.execute(update(User).where(User.username.in_(names)).values(created_at=created, updated_at=created))


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


def test_they_are_found_by_an_index(app: Flask) -> None:
    with app.app_context(), transaction():
        rows, *_ = never_verified.never_verified(30)
        oldest = select(User.id).where(rows.condition(pruning.server_now())).order_by(User.created_at).limit(10)
        sql = oldest.compile(db.engine, compile_kwargs={"literal_binds": True})
        db.session.execute(text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join(db.session.scalars(text(f"EXPLAIN {sql}")))
    assert "Index Scan using ix_users_created_at on users" in plan
    assert "Sort" not in plan.partition("ix_users_created_at")[0], "a batch reads the oldest alone"
