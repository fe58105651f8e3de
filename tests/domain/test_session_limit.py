"""The maximum number of sessions of an account, which logins keep to."""

from datetime import timedelta
from unittest.mock import Mock
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from authapp import clock, hooks
from authapp.context import OPERATOR, RequestContext
from authapp.database import deadline
from authapp.database.session import db
from authapp.domain.services import Services
from authapp.domain.sessions import limit
from authapp.domain.sessions.token_pairs import TokenPair
from authapp.models import AuditEvent, EndReason, Session, User
from clocks import Time
from conftest import reconfigured
from domain.concurrently import at_once
from factories import Api, a_session, a_user, problem

MAXIMUM = 3


@pytest.fixture(autouse=True)
def _three_sessions(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    reconfigured(app, monkeypatch, sessions_per_account=MAXIMUM)


def session_of(app: Flask, pair: TokenPair) -> UUID:
    return UUID(Services.of(app).tokens.read(pair.refresh_token)["sid"])


def live(app: Flask, user: User) -> list[UUID]:
    """Return the live sessions, most recently used first."""
    with app.app_context():
        page = Services.of(app).sessions.list_live(user.id, 100)
        assert page.next_cursor is None
        return [session.id for session in page.items]


def ended_by_the_limit(app: Flask) -> list[UUID | None]:
    of_limit = AuditEvent.details["reason"].as_string() == EndReason.SESSION_LIMIT
    with app.app_context():
        ended = select(AuditEvent.session_id).where(AuditEvent.type == "session.ended", of_limit)
        return list(db.session.scalars(ended.order_by(AuditEvent.occurred_at)))


def test_one_more_ends_the_one_that_was_used_least_recently(app: Flask, api: Api, user: User, time: Time) -> None:
    time.passes(minutes=-10)
    stranger = a_session(app, a_user(app))
    pairs = []
    for _ in range(MAXIMUM):
        time.passes(minutes=1)
        pairs.append(a_session(app, user))
    time.passes(minutes=1)
    assert api.post("/auth/refresh", token=pairs[0].refresh_token).status_code == 200
    assert ended_by_the_limit(app) == []
    with app.app_context():
        # PostgreSQL's clock, which the test does not set, went with that of the node.
        db.session.execute(text("UPDATE sessions SET valid_from = created_at"))
        db.session.commit()

    time.passes(minutes=1)
    newest = a_session(app, user)

    least = pairs[1]
    problem(api.get("/ping", least.access_token), 401, "token_revoked")
    problem(api.post("/auth/refresh", token=least.refresh_token), 401, "token_revoked")
    assert live(app, user) == [session_of(app, pair) for pair in (newest, pairs[0], pairs[2])]
    for pair in (newest, pairs[0], pairs[2], stranger):
        assert api.get("/ping", pair.access_token).status_code == 200
    assert ended_by_the_limit(app) == [session_of(app, least)]
    activity = api.get("/users/me/activity", newest.access_token).get_json()["items"]
    ended = next(event for event in activity if event["type"] == "session.ended")
    assert (ended["session_id"], ended["details"]) == (str(session_of(app, least)), {"reason": "session_limit"})
    assert ended["actor_id"] == ended["subject_id"] == str(user.id)


def test_whoever_listens_hears_of_each(app: Flask, user: User) -> None:
    heard: list[tuple[UUID, str, UUID]] = []

    def listen(_app: object, *, user_id: UUID, reason: str, session_id: UUID, **_: object) -> None:
        heard.append((user_id, reason, session_id))

    pairs = [a_session(app, user) for _ in range(MAXIMUM)]
    with hooks.session_ended.connected_to(listen):
        a_session(app, user)
    assert heard == [(user.id, "session_limit", session_of(app, pairs[0]))]


def test_what_is_over_does_not_count(app: Flask, api: Api, user: User, time: Time) -> None:
    kept = a_session(app, user)
    for _ in range(2 * MAXIMUM):
        time.passes(seconds=1)
        api.post("/auth/logout", token=a_session(app, user).access_token)
    with app.app_context():
        # Two whose time is over, although their rows have not ended, and which were used after the one that is kept.
        for _ in range(2):
            a_session(app, user)
        later = "UPDATE sessions SET refresh_expires_at = :then WHERE ended_at IS NULL AND id <> :kept"
        past = {"then": time.now - timedelta(hours=1), "kept": session_of(app, kept)}
        db.session.execute(text(later), past)
        db.session.commit()
    a_session(app, user)
    a_session(app, user)
    assert len(live(app, user)) == MAXIMUM
    assert api.get("/ping", kept.access_token).status_code == 200
    assert ended_by_the_limit(app) == []


def test_the_new_session_stays_whatever_the_clock_of_its_node_says(
    app: Flask, api: Api, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        for _ in range(MAXIMUM):
            a_session(app, user)
        db.session.execute(text("UPDATE sessions SET last_used_at = now() + interval '1 hour'"))
        db.session.commit()
    with monkeypatch.context() as patch:
        behind = clock.now() - timedelta(seconds=20)
        patch.setattr(clock, "now", lambda: behind)
        newest = a_session(app, user)
    assert api.get("/ping", newest.access_token).status_code == 200
    assert len(live(app, user)) == MAXIMUM


def test_a_maximum_of_one_leaves_the_last_login_alone(app: Flask, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    reconfigured(app, monkeypatch, sessions_per_account=1)
    pairs = [a_session(app, user) for _ in range(4)]
    assert live(app, user) == [session_of(app, pairs[-1])]
    assert len(ended_by_the_limit(app)) == 3


def test_more_than_fits_one_login_ends_in_several(app: Flask, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limit, "ENDED_AT_ONCE", 2)
    reconfigured(app, monkeypatch, sessions_per_account=10)
    for _ in range(10):
        a_session(app, user)
    reconfigured(app, monkeypatch, sessions_per_account=MAXIMUM)
    left = []
    for _ in range(8):
        a_session(app, user)
        left.append(len(live(app, user)))
    assert left[0] < 10
    assert left == sorted(left, reverse=True)
    assert left[-1] == MAXIMUM


def test_a_login_ends_the_rows_that_a_cutoff_has_left(app: Flask, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authapp.domain.sessions.revocation.ENDED_AT_ONCE", 1)
    for _ in range(MAXIMUM):
        a_session(app, user)
    with app.app_context():
        Services.of(app).administration.end_sessions(user.id, OPERATOR)
        unended = select(func.count()).select_from(Session).where(Session.ended_at.is_(None))
        assert db.session.scalar(unended) == MAXIMUM - 1
        a_session(app, user)
        assert db.session.scalar(unended) == 1
    assert ended_by_the_limit(app) == [], "they were over, and are recorded with the logout"


@pytest.mark.committed
def test_after_logins_at_once_there_are_exactly_as_many_as_may_be(app: Flask) -> None:
    for _ in range(5):
        user = a_user(app)
        pairs = at_once(app, *[lambda user=user: a_session(app, user)] * 8)
        assert all(isinstance(pair, TokenPair) for pair in pairs)
        assert len(live(app, user)) == MAXIMUM
        assert len(set(ended_by_the_limit(app)) & {session_of(app, pair) for pair in pairs}) == 8 - MAXIMUM


@pytest.mark.committed
def test_the_account_is_locked_before_its_sessions_as_by_all_that_ends_them(app: Flask, user: User) -> None:
    session_id = session_of(app, a_session(app, user))
    context = RequestContext(None, None, None, None)
    with app.app_context(), db.engine.connect() as other:
        other.execute(select(User.id).where(User.id == user.id).with_for_update())
        with deadline.within(0.3), pytest.raises(SQLAlchemyError):
            Services.of(app).sessions._limit.end_surplus(user.id, session_id, clock.now(), context)


def test_a_login_whose_surplus_cannot_be_ended_succeeds_and_the_next_one_ends_it(
    app: Flask, user: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(MAXIMUM):
        a_session(app, user)
    with monkeypatch.context() as patch:
        patch.setattr(limit.SessionLimit, "end_surplus", Mock(side_effect=PoolTimeout("Every connection is in use.")))
        a_session(app, user)
    assert len(live(app, user)) == MAXIMUM + 1
    assert "were not ended" in caplog.text
    a_session(app, user)
    assert len(live(app, user)) == MAXIMUM
