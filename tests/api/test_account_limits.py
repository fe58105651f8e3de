"""Guessing at one account: every failure in a row costs more time than the last, whoever asks and whatever is typed."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from authapp.config import NAMES_PER_ACCOUNT
from authapp.context import OPERATOR
from authapp.database.session import db
from authapp.domain.audit import EventType
from authapp.domain.services import Services
from authapp.domain.throttle_scopes import LOGIN_BY_USERNAME, SECOND_FACTOR
from authapp.domain.throttles import RETENTION
from authapp.models import AuditEvent, RateLimitCounter, Throttle, User
from cli.invoking import flask_users, succeeded
from clocks import Time
from conftest import reconfigured
from factories import PASSWORD, Api, a_session, a_user, problem

WRONG = "not the password"
FREE, MOST = 3, 6


Narrow = Callable[..., None]


@pytest.fixture
def narrow(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Narrow:
    """Set limits, for one test."""

    def set_limits(free: int = FREE, most: int = MOST, **others: Any) -> None:
        changes = {"login_failures_per_account": free, "login_failures_max": NAMES_PER_ACCOUNT * most, **others}
        reconfigured(app, monkeypatch, **changes)

    set_limits()
    return set_limits


@pytest.fixture
def ada(app: Flask, narrow: Narrow, time: Time) -> User:
    return a_user(app, "Ada")


def fail(api: Api, times: int, name: str = "ada") -> None:
    for _ in range(times):
        problem(api.log_in(name, WRONG), 401, "invalid_credentials")


def throttled(response: TestResponse, seconds: int) -> None:
    problem(response, 429, "too_many_requests")
    assert response.headers["Retry-After"] == str(seconds)
    assert response.headers["RateLimit"] == f'"attempts";r=0;t={seconds}'
    assert response.headers["RateLimit-Policy"] == f'"attempts";q=1;w={seconds}'


def lock(api: Api, time: Time, name: str = "ada") -> None:
    for _ in range(MOST):
        fail(api, 1, name)
        time.passes(minutes=15)


def failures(app: Flask) -> list[int]:
    with app.app_context():
        return list(db.session.scalars(select(Throttle.failures)))


def test_after_too_many_failures_the_right_password_has_to_wait_as_well(api: Api, ada: User, time: Time) -> None:
    fail(api, FREE)

    throttled(api.log_in("ada", WRONG), 1)
    throttled(api.log_in("ada"), 1)
    time.passes(seconds=0.999)
    throttled(api.log_in("ada"), 1)
    time.passes(seconds=0.001)
    assert api.log_in("ada").status_code == 200


def test_the_wait_doubles_with_every_failure_up_to_a_quarter_of_an_hour(
    api: Api, ada: User, narrow: Narrow, time: Time
) -> None:
    narrow(1, 100)
    for seconds in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]:
        fail(api, 1)
        throttled(api.log_in("ada"), seconds)
        time.passes(seconds=seconds - 0.5)
        throttled(api.log_in("ada"), 1)
        time.passes(seconds=0.5)
    assert api.log_in("ada").status_code == 200


def test_trying_during_the_wait_makes_it_no_longer(app: Flask, api: Api, ada: User, time: Time) -> None:
    fail(api, FREE)
    for _ in range(10):
        throttled(api.log_in("ada", WRONG), 1)

    assert failures(app) == [FREE]
    time.passes(seconds=1)
    fail(api, 1)
    throttled(api.log_in("ada"), 2)


def test_only_failures_in_a_row_count(app: Flask, api: Api, ada: User) -> None:
    for _ in range(3):
        fail(api, FREE - 1)
        assert api.log_in("ada").status_code == 200
        assert failures(app) == []
    fail(api, FREE)
    throttled(api.log_in("ada"), 1)


def test_a_success_after_waiting_starts_from_nothing(api: Api, ada: User, time: Time) -> None:
    fail(api, FREE)
    time.passes(seconds=1)
    fail(api, 1)
    time.passes(seconds=2)
    assert api.log_in("ada").status_code == 200

    fail(api, FREE)
    throttled(api.log_in("ada"), 1)


@pytest.mark.parametrize("names", [["ada", "ADA", " Ada"], ["ada@example.com", "ADA@EXAMPLE.COM", "Ada@Example.com "]])
def test_a_name_is_counted_however_it_is_spelt(app: Flask, api: Api, ada: User, names: list[str]) -> None:
    for name in names:
        fail(api, 1, name)

    for name in names:
        throttled(api.log_in(name), 1)
    assert failures(app) == [FREE]


def test_failures_under_one_name_tell_nothing_of_the_other(app: Flask, api: Api, ada: User, time: Time) -> None:
    """An attacker who knows a username and a list of addresses must not learn which of them belongs to it."""
    lock(api, time, "ada")
    a_user(app, "bob")
    guesses = [visible(api.log_in(name, WRONG)) for name in ("ada@example.com", "bob@example.com", "no@example.com")]
    assert guesses == [guesses[0]] * 3
    assert guesses[0][0] == 401
    # The owner logs in by the other name. That opens nothing under the first, which would tell as much.
    assert api.log_in("ada@example.com").status_code == 200
    throttled(api.log_in("ada", WRONG), 900)
    assert sorted(failures(app)) == [1, 1, MOST]


def test_an_account_takes_no_more_failures_than_allowed_under_all_its_names(
    app: Flask, api: Api, ada: User, narrow: Narrow, time: Time
) -> None:
    for name in ("ada", "ada@example.com"):
        lock(api, time, name)
        throttled(api.log_in(name), 900)
    assert sum(failures(app)) == NAMES_PER_ACCOUNT * MOST == Services.of(app).settings.login_failures_max


def as_admin(app: Flask, api: Api, user: User) -> None:
    admin = a_session(app, a_user(app, roles=["admin"])).access_token
    assert api("PATCH", f"/users/{user.id}", admin, json={"status": "active"}).status_code == 200


OPENERS: dict[str, Callable[[Flask, Api, User], object]] = {
    "users unlock": lambda app, *_: succeeded(flask_users(app, "unlock", "ada")),
    "users set-password": lambda app, *_: succeeded(
        flask_users(app, "set-password", "ada", "--password-stdin", stdin=PASSWORD)
    ),
    "PATCH status active": as_admin,
}


@pytest.mark.parametrize("opener", OPENERS)
def test_an_account_that_is_locked_stays_so_until_an_administrator_opens_it(
    app: Flask, api: Api, ada: User, time: Time, opener: str
) -> None:
    lock(api, time)
    throttled(api.log_in("ada"), 900)
    time.passes(days=3650)
    throttled(api.log_in("ada"), 900)
    lock(api, time, "ada@example.com")

    OPENERS[opener](app, api, ada)

    assert api.log_in("ada").status_code == 200
    assert api.log_in("ada@example.com").status_code == 200


def confirm(api: Api, token: str, password: str) -> TestResponse:
    change = {"current_password": password, "new_password": f"{PASSWORD} anew"}
    return api("PUT", "/users/me/password", token, json=change)


def test_opening_an_account_forgets_all_its_failed_logins(app: Flask, api: Api, ada: User, time: Time) -> None:
    lock(api, time)
    fail(api, 1, "ada@example.com")
    succeeded(flask_users(app, "unlock", "ada"))

    assert failures(app) == []
    fail(api, FREE)
    throttled(api.log_in("ada"), 1)


def test_guests_who_guess_at_an_account_do_not_keep_its_owner_from_a_new_password(
    app: Flask, api: Api, ada: User, time: Time
) -> None:
    session = a_session(app, ada)
    lock(api, time)
    token = api.post("/auth/refresh", {"refresh_token": session.refresh_token}).get_json()["access_token"]

    assert confirm(api, token, PASSWORD).status_code == 204
    throttled(api.log_in("ada"), 900)


def test_guesses_with_a_stolen_token_are_throttled_and_the_owner_is_not(
    app: Flask, api: Api, ada: User, time: Time
) -> None:
    token = a_session(app, ada).access_token
    for _ in range(FREE):
        problem(confirm(api, token, WRONG), 403, "wrong_password")

    throttled(confirm(api, token, PASSWORD), 1)
    owners = api.log_in("ada").get_json()["access_token"]
    throttled(confirm(api, token, PASSWORD), 1)
    assert confirm(api, owners, PASSWORD).status_code == 204


def stolen_and_spent(api: Api, time: Time) -> str:
    """Return the refresh token of a session in which a thief has guessed until it took no more."""
    pair = api.log_in("ada").get_json()
    for _ in range(MOST):
        pair = api.post("/auth/refresh", {"refresh_token": pair["refresh_token"]}).get_json()
        problem(confirm(api, pair["access_token"], WRONG), 403, "wrong_password")
        time.passes(minutes=15)
    return str(pair["refresh_token"])


def logged_out_everywhere(app: Flask, api: Api, user: User) -> None:
    token = api.log_in("ada").get_json()["access_token"]
    assert api.post("/auth/logout?scope=global", token=token).status_code == 204


WAYS_BACK: dict[str, Callable[[Flask, Api, User], object]] = {
    "a fresh login": lambda *_: None,
    "a password set by an administrator": OPENERS["users set-password"],
    "a logout everywhere": logged_out_everywhere,
}


@pytest.mark.parametrize("way_back", WAYS_BACK)
def test_the_owner_gets_a_new_password_however_much_a_thief_has_guessed(
    app: Flask, api: Api, ada: User, time: Time, way_back: str
) -> None:
    stolen_and_spent(api, time)
    WAYS_BACK[way_back](app, api, ada)
    token = api.log_in("ada").get_json()["access_token"]
    assert confirm(api, token, PASSWORD).status_code == 204


def test_the_thief_of_a_token_does_not_guess_on_whatever_the_owner_does(
    app: Flask, api: Api, ada: User, time: Time
) -> None:
    refresh_token = stolen_and_spent(api, time)
    assert api.log_in("ada").status_code == 200
    succeeded(flask_users(app, "unlock", "ada"))
    time.passes(days=20)
    with app.app_context():
        Services.of(app).pruning.prune()
    token = api.post("/auth/refresh", {"refresh_token": refresh_token}).get_json()["access_token"]
    body = problem(confirm(api, token, PASSWORD), 429, "too_many_requests")
    assert body["detail"] == "There were too many wrong passwords: log in again, or reset the password."


def test_every_guess_of_a_thief_is_recorded(app: Flask, api: Api, ada: User, time: Time) -> None:
    stolen_and_spent(api, time)
    refused = select(AuditEvent.details).where(AuditEvent.type == EventType.PASSWORD_REFUSED)
    with app.app_context():
        found = sorted(details["failures"] for details in db.session.scalars(refused))
    assert found == list(range(1, MOST + 1))


def visible(response: TestResponse) -> tuple[Any, ...]:
    body = response.get_json()
    del body["request_id"]
    return response.status_code, body, [header for header in response.headers if header[0] != "X-Request-ID"]


def test_a_name_that_nobody_has_gets_the_same_answer_at_every_step(app: Flask, api: Api, ada: User, time: Time) -> None:
    a_user(app, "disabled")
    with app.app_context():
        Services.of(app).administration.disable("disabled", OPERATOR)
    names = ["ada", "disabled", "absent", "absent@example.com", "ada@example.org", "x" * 500, "\u00e9@"]
    steps: list[list[tuple[Any, ...]]] = []
    for seconds in [0, 0, 0, 0, 1, 0, 2, 0, 4, 0, 900, 86_400]:
        time.passes(seconds=seconds)
        steps.append([visible(api.log_in(name, WRONG)) for name in names])

    assert all(step == [step[0]] * len(names) for step in steps)
    assert [step[0][0] for step in steps] == [401, 401, 401, 429, 401, 429, 401, 429, 401, 429, 429, 429]


def test_a_name_that_nobody_has_is_counted_in_any_letter_case(api: Api, narrow: Narrow, time: Time) -> None:
    for name in ["Nobody@Example.com", "nobody@example.com", "NOBODY@example.COM"]:
        fail(api, 1, name)

    throttled(api.log_in("nobody@EXAMPLE.com"), 1)
    fail(api, 1, "nobody")


def test_a_name_that_nobody_has_locks_nothing_once_somebody_has_it(
    app: Flask, api: Api, narrow: Narrow, time: Time
) -> None:
    lock(api, time, "Ada")
    a_user(app, "Ada")

    assert api.log_in("ada").status_code == 200


def test_the_failure_that_locks_an_account_is_recorded(app: Flask, api: Api, ada: User, time: Time) -> None:
    lock(api, time)
    lock_events = select(AuditEvent).where(AuditEvent.type == EventType.USER_LOCKED)
    with app.app_context():
        (event,) = db.session.scalars(lock_events)
        assert (event.subject_id, event.actor_id, event.details) == (ada.id, None, {"name": "username"})


def test_failures_are_forgotten_after_the_same_time_whether_or_not_there_is_an_account(
    app: Flask, api: Api, ada: User, time: Time
) -> None:
    for name in ["ada", "nobody"]:
        fail(api, 1, name)
    time.passes(days=29)
    for name in ["ada", "nobody"]:
        fail(api, FREE - 2, name)
    time.passes(days=2)
    with app.app_context():
        assert Services.of(app).pruning.prune()["limits"] == 0, "the time begins anew with each attempt"
        time.passes(days=29)
        Services.of(app).pruning.prune()
    assert [[api.log_in(name, WRONG).status_code for _ in range(FREE + 1)] for name in ["ada", "nobody"]] == [
        [401] * FREE + [429]
    ] * 2


def test_only_what_nobody_needs_of_the_failures_is_pruned(app: Flask, api: Api, ada: User, time: Time) -> None:
    gone, locked = a_user(app, "gone"), a_user(app, "locked")
    for name in ["ada", "gone", "nobody"]:
        fail(api, 1, name)
    with app.app_context():
        Services.of(app).administration.delete(gone.id, OPERATOR)
        for user, scope, failures in [(locked, LOGIN_BY_USERNAME, MOST), (ada, SECOND_FACTOR, 1)]:
            key = {"counted_id": user.id, "scope": scope.name}
            row = {"failures": failures, "last_attempt_at": time.now, "prune_after": time.now + RETENTION}
            db.session.add(Throttle(**key, **row))
        db.session.commit()
        time.passes(days=29)
        assert Services.of(app).pruning.prune()["limits"] == 0
        db.session.add(RateLimitCounter(counted_key="192.0.2.1", limit_name="login", arrival_at=time.now))
        db.session.commit()
        time.passes(days=2)
        assert Services.of(app).pruning.prune()["limits"] == 4, "three counters of names, and one of an address"
        assert set(db.session.scalars(select(Throttle.counted_id))) == {locked.id, ada.id}
