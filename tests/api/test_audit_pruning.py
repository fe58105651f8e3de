"""Old events are pruned from the audit trail, and that is recorded."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy.exc import DBAPIError

from audit_scenes import events, refuse_events
from authapp import clock
from authapp.context import OPERATOR
from authapp.domain import pruning
from authapp.domain.audit import EventType
from authapp.domain.services import Services
from factories import Api, a_user


def old_events(app: Flask, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    with monkeypatch.context() as patch:
        past = clock.now() - timedelta(days=100)
        patch.setattr(clock, "now", lambda: past)
        for _ in range(count):
            a_user(app)


def prune(app: Flask) -> int:
    with app.app_context():
        return Services.of(app).audit.prune(timedelta(days=90), context=OPERATOR)


def prunings(app: Flask) -> list[int]:
    return [event.details["removed"] for event in events(app) if event.type == EventType.AUDIT_PRUNED]


def test_pruning_removes_what_is_older_and_says_so(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    old_events(app, monkeypatch, 1)
    a_user(app)
    assert prune(app) == 1
    assert [event.type for event in events(app)] == [EventType.USER_CREATED, EventType.AUDIT_PRUNED]
    assert prunings(app) == [1]


def test_events_of_one_type_can_be_pruned_sooner(app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    old_events(app, monkeypatch, 2)
    with monkeypatch.context() as patch:
        past = clock.now() - timedelta(days=40)
        patch.setattr(clock, "now", lambda: past)
        api.log_in("nobody", "a guess")
    api.log_in("nobody", "another guess")
    with app.app_context():
        removed = Services.of(app).audit.prune(timedelta(days=30), EventType.LOGIN_REFUSED, context=OPERATOR)
    assert removed == 1
    created, refused = EventType.USER_CREATED, EventType.LOGIN_REFUSED
    assert sorted(event.type for event in events(app)) == [EventType.AUDIT_PRUNED, refused, created, created]
    (details,) = [event.details for event in events(app) if event.type == EventType.AUDIT_PRUNED]
    assert (details["removed"], details["type"]) == (1, EventType.LOGIN_REFUSED)


def test_the_age_of_an_event_is_judged_by_the_clock_of_postgresql(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    a_user(app)
    ahead = clock.now() + timedelta(days=365)
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: ahead)
        assert prune(app) == 0
    assert len(events(app, EventType.USER_CREATED)) == 1


def test_a_pruning_that_removes_nothing_is_no_event(app: Flask) -> None:
    a_user(app)
    assert prune(app) == 0
    assert prunings(app) == []


def test_a_pruning_that_breaks_off_has_recorded_what_it_removed(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "BATCH", 2)
    old_events(app, monkeypatch, 5)
    batches = iter([pruning.transaction()])
    with monkeypatch.context() as patch:
        patch.setattr(pruning, "transaction", lambda: next(batches))
        with pytest.raises(StopIteration):
            prune(app)
    assert prunings(app) == [2]
    assert len(events(app, EventType.USER_CREATED)) == 3

    assert prune(app) == 3
    assert prunings(app) == [2, 2, 1]


def test_a_pruning_that_cannot_be_recorded_removes_nothing(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    old_events(app, monkeypatch, 1)
    refuse_events(app, EventType.AUDIT_PRUNED)
    with pytest.raises(DBAPIError):
        prune(app)
    assert len(events(app, EventType.USER_CREATED)) == 1
