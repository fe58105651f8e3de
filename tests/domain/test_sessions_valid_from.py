"""The mark on a user's row that ends sessions: it takes effect at once, however many rows there are to tidy."""

import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from concurrently import at_once
from flask import Flask
from sqlalchemy import func, select, update

from authapp import clock
from authapp.context import OPERATOR
from authapp.database.session import db, transaction
from authapp.domain.services import Services
from authapp.domain.sessions import revocation
from authapp.domain.sessions.sessions import LogoutScope
from authapp.domain.sessions.token_pairs import TokenPair
from authapp.errors import InvalidCredentials, ResourceNotFound, TokenRevoked
from authapp.models import AuditEvent, EndReason, Session, User
from factories import GUEST, PASSWORD, Api, a_session, a_user

NEW_PASSWORD = "another long sentence"
ROWS = 2


@pytest.fixture(autouse=True)
def _few_rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocation, "ENDED_AT_ONCE", ROWS)


@pytest.fixture
def pairs(app: Flask, user: User) -> list[TokenPair]:
    return [a_session(app, user) for _ in range(6)]


def claims_of(app: Flask, token: str) -> Any:
    return Services.of(app).tokens.read(token)


def session_of(app: Flask, pair: TokenPair) -> UUID:
    return UUID(claims_of(app, pair.access_token)["sid"])


def is_accepted(app: Flask, token: str) -> bool:
    with app.app_context():
        status = Services.of(app).principals.token_status(claims_of(app, token))
    return status is not None and not status.revoked


def require_dead(app: Flask, *pairs: TokenPair) -> None:
    """Check that no token of the pairs opens anything, and that none can be exchanged."""
    services = Services.of(app)
    for pair in pairs:
        for token in (pair.access_token, pair.refresh_token):
            assert not is_accepted(app, token)
            with app.app_context():
                assert services.introspection.introspect(token) is None
        with app.app_context(), pytest.raises(TokenRevoked):
            services.sessions.refresh(claims_of(app, pair.refresh_token), GUEST)


def require_alive(app: Flask, pair: TokenPair) -> TokenPair:
    """Check that the tokens are accepted, and return the pair that the refresh token is exchanged for."""
    assert is_accepted(app, pair.access_token)
    with app.app_context():
        successor = Services.of(app).sessions.refresh(claims_of(app, pair.refresh_token), GUEST)
    assert is_accepted(app, successor.access_token)
    return successor


def unended(app: Flask) -> int:
    with app.app_context():
        count = db.session.scalar(select(func.count()).select_from(Session).where(Session.ended_at.is_(None)))
    return count or 0


def log_out(app: Flask, pair: TokenPair, scope: LogoutScope) -> None:
    with app.app_context():
        Services.of(app).sessions.log_out(claims_of(app, pair.access_token), scope, GUEST)


def change(app: Flask, statement: Any) -> None:
    with app.app_context():
        db.session.execute(statement.execution_options(synchronize_session=False))
        db.session.commit()


def set_password(app: Flask, user: User) -> None:
    Services.of(app).administration.set_password(user.id, NEW_PASSWORD, OPERATOR)


def disable(app: Flask, user: User) -> None:
    Services.of(app).administration.disable(user.id, OPERATOR)


def end_sessions(app: Flask, user: User) -> None:
    Services.of(app).administration.end_sessions(user.id, OPERATOR)


@pytest.mark.parametrize("act", [set_password, disable, end_sessions])
def test_what_an_administrator_ends_is_over_at_once(
    app: Flask, user: User, pairs: list[TokenPair], act: Callable[[Flask, User], None]
) -> None:
    other = a_session(app, a_user(app))
    with app.app_context():
        act(app, user)
    assert unended(app) == len(pairs) - ROWS + 1
    require_dead(app, *pairs)
    require_alive(app, other)


def test_a_global_logout_ends_every_session_though_rows_remain(app: Flask, user: User, pairs: list[TokenPair]) -> None:
    log_out(app, pairs[0], LogoutScope.GLOBAL)
    assert unended(app) == len(pairs) - ROWS
    require_dead(app, *pairs)
    require_alive(app, a_session(app, user))


def test_a_logout_of_the_others_keeps_one_that_lives_on(app: Flask, api: Api, pairs: list[TokenPair]) -> None:
    kept, others = pairs[2], [*pairs[:2], *pairs[3:]]
    log_out(app, kept, LogoutScope.OTHERS)
    assert unended(app) == len(others) - ROWS + 1
    require_dead(app, *others)
    successor = require_alive(app, kept)
    assert api.get("/ping", successor.access_token).status_code == 200
    log_out(app, successor, LogoutScope.OTHERS)
    require_alive(app, successor)
    require_dead(app, *others)


def test_a_new_password_keeps_the_session_that_set_it(app: Flask, api: Api, pairs: list[TokenPair]) -> None:
    kept, others = pairs[-1], pairs[:-1]
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert api("PUT", "/users/me/password", kept.access_token, json=body).status_code == 204
    assert unended(app) == len(others) - ROWS + 1
    require_dead(app, *others)
    require_alive(app, kept)


@pytest.mark.parametrize("rows_are_ended", [True, False])
def test_a_session_that_an_earlier_mark_ended_is_not_brought_back(
    app: Flask, user: User, pairs: list[TokenPair], rows_are_ended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard let it through a moment ago, and then a global logout came first."""
    monkeypatch.setattr(revocation, "ENDED_AT_ONCE", 1000 if rows_are_ended else 0)
    late = pairs[1]
    log_out(app, pairs[0], LogoutScope.GLOBAL)
    assert (unended(app) == 0) is rows_are_ended
    log_out(app, late, LogoutScope.OTHERS)
    require_dead(app, *pairs)
    with app.app_context():
        Services.of(app).accounts.change_password(user.id, session_of(app, late), PASSWORD, NEW_PASSWORD, GUEST)
    require_dead(app, *pairs)


def test_the_list_has_the_kept_session_alone(app: Flask, api: Api, pairs: list[TokenPair]) -> None:
    assert len(api.get("/users/me/sessions", pairs[0].access_token).get_json()["items"]) == len(pairs)
    log_out(app, pairs[0], LogoutScope.OTHERS)
    listed = api.get("/users/me/sessions", pairs[0].access_token).get_json()["items"]
    assert [item["id"] for item in listed] == [str(session_of(app, pairs[0]))]


def test_a_session_that_is_over_cannot_be_ended_again(app: Flask, user: User, pairs: list[TokenPair]) -> None:
    log_out(app, pairs[0], LogoutScope.OTHERS)
    for pair in pairs[1:]:
        with app.app_context(), pytest.raises(ResourceNotFound):
            Services.of(app).sessions.end(user.id, session_of(app, pair), GUEST)
    with app.app_context():
        Services.of(app).sessions.end(user.id, session_of(app, pairs[0]), GUEST)


def test_a_refused_refresh_of_a_marked_session_is_recorded_as_nothing(app: Flask, pairs: list[TokenPair]) -> None:
    log_out(app, pairs[0], LogoutScope.GLOBAL)
    with app.app_context():
        before = db.session.scalar(select(func.count()).select_from(AuditEvent))
    require_dead(app, *pairs)
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(AuditEvent)) == before


def test_what_is_over_already_is_not_counted_again(app: Flask, user: User, pairs: list[TokenPair]) -> None:
    administration = Services.of(app).administration
    with app.app_context():
        assert administration.end_sessions(user.id, OPERATOR) == ROWS
        assert administration.end_sessions(user.id, OPERATOR) == 0
    a_session(app, user)
    with app.app_context():
        assert administration.end_sessions(user.id, OPERATOR) == 1
        ended = select(AuditEvent.details["sessions"].as_integer()).where(AuditEvent.type == "session.ended")
        assert sorted(db.session.scalars(ended)) == [0, 1, ROWS]


LEGACY = update(Session).values(valid_from=None, auth_time=None)


def test_sessions_of_version_0_1_live_on_and_end_like_all_others(
    app: Flask, api: Api, user: User, pairs: list[TokenPair]
) -> None:
    change(app, LEGACY)
    pairs = [require_alive(app, pair) for pair in pairs]
    assert is_accepted(app, pairs[0].access_token)
    claims = claims_of(app, pairs[0].access_token)
    with app.app_context():
        created_at = db.session.scalar(select(Session.created_at).where(Session.id == UUID(claims["sid"])))
    assert created_at is not None
    assert (claims["amr"], claims["auth_time"]) == (["pwd"], int(created_at.timestamp()))
    assert len(api.get("/users/me/sessions", pairs[0].access_token).get_json()["items"]) == len(pairs)
    log_out(app, pairs[0], LogoutScope.OTHERS)
    require_dead(app, *pairs[1:])
    kept = require_alive(app, pairs[0])
    log_out(app, kept, LogoutScope.GLOBAL)
    require_dead(app, kept)
    require_alive(app, a_session(app, user))


def test_a_session_of_version_0_1_whose_node_was_ahead_is_ended_by_its_row(app: Flask, user: User) -> None:
    """Its time is the node's, and may be later than the mark: rows are ended with the newest first."""
    old = [a_session(app, user) for _ in range(ROWS + 1)]
    with time_of_node(timedelta(hours=5)):
        ahead = [a_session(app, user) for _ in range(ROWS)]
        change(app, LEGACY)
    log_out(app, old[0], LogoutScope.GLOBAL)
    for pair in [*old, *ahead]:
        with app.app_context():
            claims = Services.of(app).tokens._verified(pair.access_token)[1]
            status = Services.of(app).principals.token_status(claims)
        assert status is not None
        assert status.revoked


class time_of_node:  # noqa: N801 - a context manager, read as a phrase
    """Set the clock of the node, not that of PostgreSQL, ahead or behind."""

    def __init__(self, difference: timedelta) -> None:
        self._difference = difference

    def __enter__(self) -> None:
        difference = self._difference
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr(clock, "now", lambda: datetime.now(UTC) + difference)

    def __exit__(self, *_: object) -> None:
        self._patch.undo()


HOURS = [timedelta(hours=hours) for hours in (-5, 0, 5)]


@pytest.mark.parametrize("at_login", HOURS, ids=str)
@pytest.mark.parametrize("at_logout", HOURS, ids=str)
def test_no_clock_of_a_node_lets_a_session_survive(
    app: Flask, user: User, at_login: timedelta, at_logout: timedelta
) -> None:
    with time_of_node(at_login):
        pairs = [a_session(app, user) for _ in range(4)]
        verified = [Services.of(app).tokens.read(pair.access_token) for pair in pairs]
    with time_of_node(at_logout), app.app_context():
        Services.of(app).administration.end_sessions(user.id, OPERATOR)
    with app.app_context():
        statuses = [Services.of(app).principals.token_status(claims) for claims in verified]
    assert [status is not None and status.revoked for status in statuses] == [True] * 4
    with time_of_node(at_login):
        # And a login afterwards is good, whatever its node's clock says.
        require_alive(app, a_session(app, user))


def test_a_mark_ahead_of_the_clock_of_postgresql_locks_nobody_out(app: Flask, user: User) -> None:
    """PostgreSQL's clock was wrong for a minute, or another server has taken over, whose clock is behind."""
    future = datetime.now(UTC) + timedelta(days=400)
    old = a_session(app, user)
    change(app, update(User).values(sessions_valid_from=future))
    require_dead(app, old)
    pairs = [a_session(app, user) for _ in range(4)]
    pairs = [require_alive(app, pair) for pair in pairs]
    log_out(app, pairs[0], LogoutScope.OTHERS)
    require_dead(app, old, *pairs[1:])
    kept = require_alive(app, pairs[0])
    log_out(app, kept, LogoutScope.GLOBAL)
    require_dead(app, old, *pairs[1:], kept)
    require_alive(app, a_session(app, user))


def test_the_marks_of_users_are_their_own(app: Flask, user: User) -> None:
    other = a_session(app, a_user(app))
    a_session(app, user)
    with app.app_context():
        end_sessions(app, user)
        marks = {
            row.id: row.sessions_valid_from for row in db.session.execute(select(User.id, User.sessions_valid_from))
        }
    assert marks.pop(user.id) > datetime.now(UTC) - timedelta(minutes=1)
    assert set(marks.values()) == {datetime(1970, 1, 1, tzinfo=UTC)}
    require_alive(app, other)


@pytest.mark.committed
@pytest.mark.parametrize("rows", [0, 1000])
def test_a_login_that_races_a_global_logout_is_over_or_began_after_it(
    app: Flask, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(revocation, "ENDED_AT_ONCE", rows)
    services = Services.of(app)
    for number in range(12):
        user = a_user(app)
        first = a_session(app, user)
        before = claims_of(app, first.access_token)

        def log_in(user: User = user, number: int = number) -> TokenPair:
            time.sleep(random.Random(number).random() / 100)
            return a_session(app, user)

        # From before all logins to after most of them, on a slow machine as well.
        def end(claims: Any = before, number: int = number) -> None:
            time.sleep(number * 0.005)
            services.sessions.log_out(claims, LogoutScope.GLOBAL, GUEST)

        *outcomes, _ = at_once(app, *[log_in] * 3, end)
        require_dead(app, first)
        with app.app_context():
            mark = db.session.scalar(select(User.sessions_valid_from).where(User.id == user.id))
            assert mark is not None
        for pair in outcomes:
            with app.app_context():
                session = db.session.get_one(Session, (user.id, session_of(app, pair)))
            assert session.valid_from is not None
            assert is_accepted(app, pair.access_token) == (session.valid_from >= mark)
            assert session.ended_at is None or session.valid_from < mark


@pytest.mark.committed
def test_a_login_that_waits_for_a_logout_begins_after_it(app: Flask) -> None:
    user = a_user(app)
    first = a_session(app, user)
    marked = threading.Event()

    def end() -> None:
        with transaction():
            revocation.end_all(user.id, EndReason.LOGOUT, clock.now())
            marked.set()
            time.sleep(0.3)  # the login has come as far as the lock on the user's row

    def log_in() -> TokenPair:
        assert marked.wait(20)
        return a_session(app, user)

    pair, _ = at_once(app, log_in, end)
    require_dead(app, first)
    require_alive(app, pair)


@pytest.mark.committed
@pytest.mark.parametrize("act", [set_password, disable])
def test_a_login_that_races_what_must_end_it_leaves_nothing_alive(
    app: Flask, monkeypatch: pytest.MonkeyPatch, act: Callable[[Flask, User], None]
) -> None:
    monkeypatch.setattr(revocation, "ENDED_AT_ONCE", 0)
    for _ in range(8):
        user = a_user(app)
        *outcomes, _ = at_once(app, *[lambda user=user: a_session(app, user)] * 3, lambda user=user: act(app, user))
        for outcome in outcomes:
            assert outcome is InvalidCredentials or not is_accepted(app, outcome.access_token)


@pytest.mark.committed
def test_two_who_log_the_others_out_leave_one_session_at_most(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocation, "ENDED_AT_ONCE", 0)
    services = Services.of(app)
    for _ in range(8):
        user = a_user(app)
        pairs = [a_session(app, user) for _ in range(4)]
        claims = [claims_of(app, pair.access_token) for pair in pairs]
        at_once(app, *[lambda each=each: services.sessions.log_out(each, LogoutScope.OTHERS, GUEST) for each in claims])
        # None, where one was ended by another while it was ending the others: nobody's logout is undone.
        assert sum(is_accepted(app, pair.access_token) for pair in pairs) <= 1


@pytest.mark.committed
def test_a_refresh_that_races_a_global_logout_leaves_nothing_alive(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocation, "ENDED_AT_ONCE", 0)
    services = Services.of(app)
    for _ in range(10):
        pair = a_session(app, a_user(app))
        access, refresh = (claims_of(app, token) for token in (pair.access_token, pair.refresh_token))
        outcome, _ = at_once(
            app,
            lambda refresh=refresh: services.sessions.refresh(refresh, GUEST),
            lambda access=access: services.sessions.log_out(access, LogoutScope.GLOBAL, GUEST),
        )
        require_dead(app, pair)
        if outcome is not TokenRevoked:
            require_dead(app, outcome)
