"""After a backlog the failures are pruned in batches, each of which reads what it deletes or keeps alone."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from authapp.database.session import db, transaction
from authapp.domain import throttles
from authapp.domain.services import Services
from authapp.models import Throttle, User
from rows_read import rows_read

PG_CRON = Path(__file__).parents[2] / "deploy" / "pg_cron.sql"
ROWS, BATCH = 3_000, 50
LOCKED = 1_000

DUE = """
    INSERT INTO login_throttles (account_id, purpose, failures, last_attempt_at, prune_after)
    SELECT :account, :prefix || n, :failures, now(), now() - interval '60 days' + n * interval '1 s'
    FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) AS n
"""


def prune(app: Flask) -> int:
    return Services.of(app).pruning.prune()["limits"]


def prune_in_the_database(_app: Flask) -> int:
    """Run the job until it finds no more, as it would within hours."""
    (statement,) = re.findall(r"'authapp-prune-login-throttles'.*\$\$(.*)\$\$", PG_CRON.read_text())
    total = 0
    for _ in range(2 * ROWS // BATCH):
        with transaction():
            total += db.session.connection().execute(text(statement.replace("LIMIT 50000", f"LIMIT {BATCH}"))).rowcount
    return total


def make_due(user: User, *, kept: range, others: range) -> None:
    with transaction() as session:
        for numbers, prefix, failures in ((kept, "kept", LOCKED), (others, "other", 1)):
            of = {"account": user.id, "prefix": prefix, "failures": failures}
            session.execute(text(DUE), of | {"first": numbers.start, "last": numbers.stop - 1})
        session.execute(text("ANALYZE login_throttles"))
        # So small a table would be read as a whole, whatever the statement asks for.
        session.execute(text("SET LOCAL enable_seqscan = off"))


@pytest.mark.parametrize("run", [prune, prune_in_the_database])
@pytest.mark.parametrize(
    ("kept", "others"),
    [(range(10), range(10, ROWS)), (range(ROWS // 2, ROWS), range(ROWS // 2)), (range(ROWS), range(0))],
    ids=["few kept", "half kept", "all kept"],
)
def test_after_a_backlog_a_batch_reads_no_more_than_its_rows(
    app: Flask, user: User, monkeypatch: pytest.MonkeyPatch, run: Callable[[Flask], int], kept: range, others: range
) -> None:
    monkeypatch.setattr(throttles, "BATCH", BATCH)
    with app.app_context():
        make_due(user, kept=kept, others=others)
        with rows_read("login_throttles") as counts:
            assert run(app) == len(others)
        assert max(counts) <= 4 * BATCH
        assert sum(counts) <= 4 * ROWS
        assert db.session.scalar(select(func.count()).select_from(Throttle)) == len(kept)
        due = select(func.count()).select_from(Throttle).where(Throttle.prune_after < func.now())
        assert db.session.scalar(due) == 0


@pytest.mark.committed
def test_failures_that_somebody_is_counting_are_skipped_and_not_waited_for(app: Flask, user: User) -> None:
    with app.app_context():
        make_due(user, kept=range(0), others=range(3))
        with db.engine.connect() as login:
            login.execute(text("SELECT FROM login_throttles WHERE purpose = 'other1' FOR UPDATE"))
            assert prune(app) == 2
        assert prune(app) == 1
