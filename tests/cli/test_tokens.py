from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from authapp import clock
from authapp.database.session import db
from authapp.domain import pruning
from authapp.domain.services import Services
from authapp.models import BlocklistedToken, Session
from cli.invoking import data, flask_tokens, misused, succeeded
from factories import a_session, a_user

NOW = clock.now().replace(microsecond=0)
ACCESS, REFRESH = timedelta(seconds=900), timedelta(seconds=2_592_000)
LEEWAY = timedelta(seconds=5)


@pytest.fixture(autouse=True)
def _time_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_at(monkeypatch, NOW)


def stand_at(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    monkeypatch.setattr(clock, "now", lambda: moment)


def log_out_once(app: Flask) -> None:
    """Leave a session that has ended, and both its tokens on the blocklist."""
    pair = a_session(app, a_user(app))
    with app.app_context():
        services = Services.of(app)
        services.sessions.log_out(services.tokens.read(pair.access_token))


def kept(app: Flask) -> tuple[int, int]:
    with app.app_context():
        return tuple(
            db.session.scalar(select(func.count()).select_from(model)) for model in (BlocklistedToken, Session)
        )


def test_nothing_is_pruned_while_it_is_needed(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    log_out_once(app)
    a_session(app, a_user(app))
    stand_at(monkeypatch, NOW + ACCESS)

    assert succeeded(flask_tokens(app, "prune")) == "Removed 0 blocklist entries, 0 sessions and 0 limits.\n"
    assert kept(app) == (2, 2)


def test_an_expired_access_token_leaves_the_blocklist(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    log_out_once(app)
    stand_at(monkeypatch, NOW + ACCESS + timedelta(hours=1))

    assert succeeded(flask_tokens(app, "prune")) == "Removed 1 blocklist entries, 0 sessions and 0 limits.\n"
    assert kept(app) == (1, 1)


def test_everything_goes_when_the_refresh_token_has_expired(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    log_out_once(app)
    a_session(app, a_user(app))
    stand_at(monkeypatch, NOW + REFRESH + timedelta(hours=1))

    assert data(flask_tokens(app, "prune", "--json")) == {"blocklisted_tokens": 2, "sessions": 2, "limits": 0}
    assert kept(app) == (0, 0)


@pytest.mark.parametrize(("lifetime", "all_rows"), [(ACCESS, (2, 1)), (REFRESH, (1, 1))])
def test_what_the_leeway_still_accepts_is_kept(
    app: Flask, monkeypatch: pytest.MonkeyPatch, lifetime: timedelta, all_rows: tuple[int, int]
) -> None:
    log_out_once(app)
    stand_at(monkeypatch, NOW + lifetime + LEEWAY)
    flask_tokens(app, "prune")
    assert kept(app) == all_rows

    stand_at(monkeypatch, NOW + lifetime + LEEWAY + timedelta(seconds=2))
    flask_tokens(app, "prune")
    assert kept(app) == ((1, 1) if lifetime == ACCESS else (0, 0))


@pytest.mark.parametrize("count", [4, 5])
def test_there_may_be_more_to_prune_than_fits_a_batch(app: Flask, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(pruning, "BATCH", 2)
    for _ in range(count):
        log_out_once(app)
    stand_at(monkeypatch, NOW + timedelta(days=20))
    a_session(app, a_user(app))
    stand_at(monkeypatch, NOW + REFRESH + timedelta(hours=1))

    assert data(flask_tokens(app, "prune", "--json")) == {
        "blocklisted_tokens": 2 * count,
        "sessions": count,
        "limits": 0,
    }
    assert kept(app) == (0, 1)


def test_no_batch_is_larger_than_allowed(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "BATCH", 2)
    transactions: list[None] = []
    opened = pruning.transaction
    monkeypatch.setattr(pruning, "transaction", lambda: transactions.append(None) or opened())
    for _ in range(5):
        a_session(app, a_user(app))
    stand_at(monkeypatch, NOW + REFRESH + timedelta(hours=1))

    flask_tokens(app, "prune")

    assert len(transactions) == 1 + 3 + 2  # none on the blocklist; two sessions, two, and one; no limits of two kinds
    assert kept(app) == (0, 0)


def test_pruning_again_removes_nothing(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    log_out_once(app)
    stand_at(monkeypatch, NOW + REFRESH + timedelta(hours=1))
    flask_tokens(app, "prune")

    assert data(flask_tokens(app, "prune", "--json")) == {"blocklisted_tokens": 0, "sessions": 0, "limits": 0}


def test_misuse_explains_the_usage(app: Flask) -> None:
    misused(flask_tokens(app, "prune", "everything"))
    misused(flask_tokens(app, "burn"))
