from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from authapp import clock
from authapp.database.session import db, server_now, transaction
from authapp.domain import one_time_tokens, pruning
from authapp.domain.mail import outbox
from authapp.domain.services import Services
from authapp.domain.sessions.sessions import LogoutScope
from authapp.models import BlocklistedToken, Session
from cli.invoking import data, flask_tokens, misused, succeeded
from clocks import set_clocks
from factories import GUEST, Api, a_session, a_user, problem

NOW = clock.now().replace(microsecond=0)
ACCESS, REFRESH = timedelta(seconds=900), timedelta(seconds=2_592_000)
LEEWAY = timedelta(seconds=5)


@pytest.fixture(autouse=True)
def _time_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_at(monkeypatch, NOW)


def stand_at(monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
    set_clocks(monkeypatch, lambda: now)


def log_out_once(app: Flask) -> None:
    """Leave a session that has ended, and both its tokens on the blocklist."""
    pair = a_session(app, a_user(app))
    with app.app_context():
        services = Services.of(app)
        services.sessions.log_out(services.tokens.read(pair.access_token), LogoutScope.LOCAL, GUEST)


def kept(app: Flask) -> tuple[int, int]:
    with app.app_context():
        return tuple(
            db.session.scalar(select(func.count()).select_from(model)) for model in (BlocklistedToken, Session)
        )


def pruned(**counts: int) -> dict[str, int]:
    """Return what ``prune --json`` prints when it removes ``counts`` rows, and none of any other kind."""
    kinds = ("blocklisted_tokens", "sessions", "limits", "one_time_tokens", "deleted_roles", "unsent_mails")
    kinds += ("api_keys", "foreign_hash_marks", "pending_logins", "used_challenges", "unconfirmed_totp_factors")
    return dict.fromkeys(kinds, 0) | counts


def in_words(blocklisted: int = 0, one_time: int = 0) -> str:
    """Return what ``prune`` prints when it removes so many tokens, and nothing else."""
    tokens = f"0 api_keys, {blocklisted} blocklisted_tokens, 0 deleted_roles, 0 foreign_hash_marks, 0 limits"
    others = f"{one_time} one_time_tokens, 0 pending_logins, 0 sessions, 0 unconfirmed_totp_factors, 0 unsent_mails"
    return f"Removed {tokens}, {others} and 0 used_challenges.\n"


def test_nothing_is_pruned_while_it_is_needed(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    log_out_once(app)
    a_session(app, a_user(app))
    stand_at(monkeypatch, NOW + ACCESS)

    assert succeeded(flask_tokens(app, "prune")) == in_words()
    assert kept(app) == (2, 2)


def test_an_expired_access_token_leaves_the_blocklist(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    log_out_once(app)
    stand_at(monkeypatch, NOW + ACCESS + timedelta(hours=1))

    assert succeeded(flask_tokens(app, "prune")) == in_words(blocklisted=1)
    assert kept(app) == (1, 1)


def test_everything_goes_when_the_refresh_token_has_expired(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    log_out_once(app)
    a_session(app, a_user(app))
    stand_at(monkeypatch, NOW + REFRESH + timedelta(hours=1))

    assert data(flask_tokens(app, "prune", "--json")) == pruned(blocklisted_tokens=2, sessions=2)
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

    assert data(flask_tokens(app, "prune", "--json")) == pruned(blocklisted_tokens=2 * count, sessions=count)
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

    # None on the blocklist; two sessions, two, and one; no limits of addresses; and none of eight other kinds.
    assert len(transactions) == 1 + 3 + 1 + 8
    assert kept(app) == (0, 0)


def test_pruning_again_removes_nothing(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    log_out_once(app)
    stand_at(monkeypatch, NOW + REFRESH + timedelta(hours=1))
    flask_tokens(app, "prune")

    assert data(flask_tokens(app, "prune", "--json")) == pruned()


def test_a_one_time_token_goes_when_it_has_expired(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    user = a_user(app)
    with app.app_context(), transaction():
        for purpose in ("reset_password", "verify_email"):
            one_time_tokens.issue(user.id, purpose, sent_to=user.email)
    stand_at(monkeypatch, NOW + timedelta(hours=2))

    assert succeeded(flask_tokens(app, "prune")) == in_words(one_time=1)
    assert data(flask_tokens(app, "prune", "--json")) == pruned()

    stand_at(monkeypatch, NOW + timedelta(hours=25))
    assert data(flask_tokens(app, "prune", "--json")) == pruned(one_time_tokens=1)


def test_a_mail_that_nobody_has_sent_for_a_week_goes(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    with app.app_context(), transaction():
        outbox.add("new_login", user_id=None, address=None, context=GUEST)
    stand_at(monkeypatch, NOW + timedelta(days=7))
    assert data(flask_tokens(app, "prune", "--json")) == pruned()

    stand_at(monkeypatch, NOW + timedelta(days=7, seconds=1))
    assert data(flask_tokens(app, "prune", "--json")) == pruned(unsent_mails=1)


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(days=365)])
def test_a_host_whose_clock_is_fast_revives_no_token(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch, ahead: timedelta
) -> None:
    user, services = a_user(app), Services.of(app)
    logged_out, taken_back = a_session(app, user).access_token, a_session(app, user).access_token
    with app.app_context():
        services.sessions.log_out(services.tokens.read(logged_out), LogoutScope.LOCAL, GUEST)
        services.introspection.revoke(taken_back, user.id, GUEST)
    before = kept(app)

    # PostgreSQL's clock is right, and so are those of the nodes that answer.
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: NOW + ahead)
        patch.setattr(pruning, "server_now", server_now)
        assert data(flask_tokens(app, "prune", "--json")) == pruned()

    assert kept(app) == before
    for token in (logged_out, taken_back):
        problem(api.get("/ping", token), 401, "token_revoked")


def test_misuse_explains_the_usage(app: Flask) -> None:
    misused(flask_tokens(app, "prune", "everything"))
    misused(flask_tokens(app, "burn"))
