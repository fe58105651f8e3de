"""Throttles: attempts at the same moment, and failures that are pruned."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import select

from authapp import clock
from authapp.config import NAMES_PER_ACCOUNT
from authapp.context import OPERATOR
from authapp.database.session import db
from authapp.domain.services import Services
from authapp.domain.throttle_scopes import (
    LOGIN_BY_USERNAME,
    SECOND_FACTOR,
    ThrottleScope,
    throttle_scopes,
)
from authapp.domain.throttles import RETENTION, Attempt, Throttles
from authapp.errors import TooManyRequests
from authapp.models import Throttle, User
from clocks import Time
from domain.concurrently import at_once

FREE, MOST = 3, 6


@pytest.mark.committed
def test_of_attempts_at_the_same_moment_no_more_are_let_through_than_are_free(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    throttles = Throttles(Services.of(app).fast_path, free_failures=FREE, max_failures=NAMES_PER_ACCOUNT * MOST)
    for _ in range(8):
        account = uuid4()
        outcomes = at_once(app, *[lambda account=account: throttles.reserve(account, LOGIN_BY_USERNAME)] * 8)
        assert outcomes.count(TooManyRequests) == 8 - FREE
        assert sorted(each.failures for each in outcomes if isinstance(each, Attempt)) == [1, 2, 3]


@pytest.mark.committed
def test_the_last_attempt_is_the_last_even_when_no_delay_stands_between(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    throttles, account = (
        Throttles(Services.of(app).fast_path, free_failures=FREE, max_failures=NAMES_PER_ACCOUNT * MOST),
        uuid4(),
    )
    now = clock.now()
    for days in range(MOST):
        monkeypatch.setattr(clock, "now", lambda days=days: now + timedelta(days=days))
        with app.app_context():
            assert throttles.reserve(account, LOGIN_BY_USERNAME).is_last == (days == MOST - 1)
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(days=365))
    assert at_once(app, *[lambda: throttles.reserve(account, LOGIN_BY_USERNAME)] * 8) == [TooManyRequests] * 8


def test_an_attempt_that_is_taken_back_ends_no_delay_that_began_after_it(app: Flask, time: Time) -> None:
    throttles = Throttles(Services.of(app).fast_path, free_failures=1, max_failures=100)
    account = uuid4()
    with app.app_context():
        slow = throttles.reserve(account, LOGIN_BY_USERNAME)
        time.passes(seconds=1)
        guess = throttles.reserve(account, LOGIN_BY_USERNAME)
        throttles.release(account, LOGIN_BY_USERNAME, slow)
        with pytest.raises(TooManyRequests):
            throttles.reserve(account, LOGIN_BY_USERNAME)
        throttles.release(account, LOGIN_BY_USERNAME, guess)
        assert throttles.reserve(account, LOGIN_BY_USERNAME).failures == 1


def test_an_attempt_that_is_taken_back_ends_the_delay_that_began_because_it_counted(app: Flask, time: Time) -> None:
    throttles = Throttles(Services.of(app).fast_path, free_failures=2, max_failures=100)
    account = uuid4()
    with app.app_context():
        slow = throttles.reserve(account, LOGIN_BY_USERNAME)
        time.passes(seconds=1)
        throttles.reserve(account, LOGIN_BY_USERNAME)
        throttles.release(account, LOGIN_BY_USERNAME, slow)
        assert throttles.reserve(account, LOGIN_BY_USERNAME).failures == 2


@pytest.fixture
def pin() -> Iterator[ThrottleScope]:
    """The scope of a second factor that another wing brings."""
    scope = ThrottleScope("pin", "There were too many wrong PINs.", is_second_factor=True)
    throttle_scopes.register(scope.name, scope)
    yield scope
    throttle_scopes.unregister(scope.name)


def test_failures_of_any_second_factor_survive_a_new_password_and_pruning(
    app: Flask, user: User, time: Time, pin: ThrottleScope
) -> None:
    with app.app_context():
        services = Services.of(app)
        throttles = Throttles(services.fast_path, free_failures=FREE, max_failures=NAMES_PER_ACCOUNT * MOST)
        for scope in (LOGIN_BY_USERNAME, SECOND_FACTOR, pin):
            throttles.reserve(user.id, scope)
        throttles.reset_failures_of_first_factors(user.id)
        assert set(db.session.scalars(select(Throttle.scope))) == {SECOND_FACTOR.name, pin.name}
        time.passes(days=31)
        assert services.pruning.prune()["limits"] == 0
        assert throttles.reserve(user.id, pin).failures == 2


def test_a_scope_that_is_not_registered_counts_nothing(app: Flask) -> None:
    throttles = Throttles(Services.of(app).fast_path, free_failures=FREE, max_failures=NAMES_PER_ACCOUNT * MOST)
    with app.app_context(), pytest.raises(KeyError, match="no scope of attempts 'pin': register it"):
        throttles.reserve(uuid4(), ThrottleScope("pin", "", is_second_factor=True))


def test_failures_that_are_kept_are_not_read_again_by_each_run_that_prunes(app: Flask, user: User, time: Time) -> None:
    with app.app_context():
        services = Services.of(app)
        key = {"counted_id": user.id, "scope": SECOND_FACTOR.name}
        row = {"failures": 1, "last_attempt_at": time.now, "prune_after": time.now + RETENTION}
        db.session.add(Throttle(**key, **row))
        db.session.commit()
        throttled = next(each for each in services.pruning.prunables() if each.model is Throttle)

        def due() -> list[UUID]:
            return list(db.session.scalars(select(Throttle.counted_id).where(throttled.condition(time.now))))

        for _ in range(2):
            time.passes(days=31)
            assert due() == [user.id]
            assert services.pruning.prune()["limits"] == 0
            assert due() == []
        services.administration.delete(user.id, OPERATOR)
        time.passes(days=31)
        assert services.pruning.prune()["limits"] == 1, "the account that it was kept for is gone"
