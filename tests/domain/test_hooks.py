"""Hooks: each signal is sent once, after the commit, to those who listen to this application; and harms nobody."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest.mock import Mock
from uuid import UUID

import pytest
from blinker import NamedSignal
from flask import Flask
from sqlalchemy import text, update

from authapp import create_app, hooks
from authapp.context import OPERATOR, RequestContext
from authapp.database.session import db
from authapp.domain.services import Services
from authapp.errors import RefreshTokenReused
from authapp.models import User
from conftest import dispose
from databases import Databases
from domain.heard import TOLD_AFTERWARDS, Heard, hearing
from factories import GUEST, PASSWORD, Api, a_session, a_user, problem
from settings import settings

pytestmark = pytest.mark.committed
NEW_PASSWORD = "another long sentence"

SENT_BEFORE = {
    *("before_registration", "before_session_start", "user_creating", "user_changing"),
    *("credentials_voiding", "factors_changing"),
}


def count(statement: str) -> Callable[[Any], Any]:
    return lambda connection: connection.execute(text(statement)).scalar()


@pytest.fixture
def heard(app: Flask) -> Iterator[Heard]:
    with hearing(app) as heard:
        yield heard


def services(app: Flask) -> Services:
    return Services.of(app)


def registered(app: Flask, username: str = "ada") -> User:
    names = {"username": username, "email": f"{username}@example.com"}
    return services(app).accounts.register(**names, password=PASSWORD, context=GUEST)


def test_every_signal_of_the_package_is_tested_here() -> None:
    signals = {name for name, value in vars(hooks).items() if isinstance(value, NamedSignal)}
    assert signals == {*TOLD_AFTERWARDS, *SENT_BEFORE}


def test_a_registration_is_told_once_with_the_row_in_place(app: Flask, heard: Heard) -> None:
    heard.rows.append(count("SELECT count(*) FROM users"))
    with app.app_context():
        user = registered(app)
    [(name, sender, details)] = heard.signals
    assert (name, sender) == ("user_registered", app)
    assert details == {"context": GUEST, "user_id": user.id, "username": "ada", "email": "ada@example.com"}
    assert heard.seen == [1]


def test_an_account_that_an_operator_makes_is_told_too(app: Flask, heard: Heard) -> None:
    user = a_user(app)
    [(name, _, details)] = heard.signals
    assert (name, details["user_id"], details["context"]) == ("user_registered", user.id, OPERATOR)


def test_a_login_is_told_once_with_the_session_in_place(app: Flask, heard: Heard) -> None:
    user = a_user(app)
    heard.signals.clear()
    heard.rows.append(count("SELECT count(*) FROM sessions"))
    pair = a_session(app, user)
    [(name, sender, details)] = heard.signals
    session_id = services(app).tokens.read(pair.access_token)["sid"]
    assert (name, sender, details["amr"]) == ("session_started", app, ["pwd"])
    assert (details["user_id"], str(details["session_id"]), details["context"]) == (user.id, session_id, GUEST)
    assert heard.seen == [1]


@dataclass
class Scene:
    """A user with two sessions, and the token of one of them."""

    app: Flask
    api: Api
    user: User
    token: str

    @property
    def session_id(self) -> str:
        return services(self.app).tokens.read(self.token)["sid"]


Act = Callable[[Scene], Any]


def end(scope: str) -> Act:
    return lambda scene: scene.api.post(f"/auth/logout?scope={scope}", token=scene.token)


def in_context(act: Callable[[Services, User], Any]) -> Act:
    def run(scene: Scene) -> None:
        with scene.app.app_context():
            act(services(scene.app), scene.user)

    return run


PASSWORDS = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}

ACTS: dict[str, tuple[Act, dict[str, int], str]] = {
    "a logout": (end("local"), {"session_ended": 1}, "logout"),
    "a logout of the others": (end("others"), {"session_ended": 1}, "logout"),
    "a global logout": (end("global"), {"session_ended": 1}, "logout"),
    "the end of one session": (
        lambda scene: scene.api("DELETE", f"/users/me/sessions/{scene.session_id}", scene.token),
        {"session_ended": 1},
        "revoked",
    ),
    "a change of the password": (
        lambda scene: scene.api("PUT", "/users/me/password", scene.token, json=PASSWORDS),
        {"password_changed": 1, "session_ended": 1},
        "password_changed",
    ),
    "a password that is set": (
        in_context(lambda found, user: found.administration.set_password(user.id, NEW_PASSWORD, OPERATOR)),
        {"password_changed": 1, "session_ended": 1},
        "password_changed",
    ),
    "disabling": (
        in_context(lambda found, user: found.administration.disable(user.id, OPERATOR)),
        {"session_ended": 1},
        "disabled",
    ),
    "the end of all sessions by an operator": (
        in_context(lambda found, user: found.administration.end_sessions(user.id, OPERATOR)),
        {"session_ended": 1},
        "revoked",
    ),
    "the deletion of one's own account": (
        lambda scene: scene.api("DELETE", "/users/me", scene.token, json={"password": PASSWORD}),
        {"user_deleted": 1},
        "",
    ),
    "a deletion by an operator": (
        in_context(lambda found, user: found.administration.delete(user.id, OPERATOR)),
        {"user_deleted": 1},
        "",
    ),
    "what changes nothing of these": (
        in_context(lambda found, user: found.accounts.rename(user.id, username="renamed", context=GUEST)),
        {},
        "",
    ),
}


@pytest.mark.parametrize(("act", "wanted", "reason"), ACTS.values(), ids=ACTS)
def test_each_act_is_told_once_by_this_application(
    app: Flask,
    api: Api,
    heard: Heard,
    act: Act,
    wanted: dict[str, int],
    reason: str,
) -> None:
    user = a_user(app)
    token = a_session(app, user).access_token
    a_session(app, user)
    heard.signals.clear()
    response = act(Scene(app, api, user, token))
    assert response is None or response.status_code == 204, response.get_json()
    assert heard.counts() == wanted
    for name, sender, details in heard.signals:
        assert (sender, details["user_id"]) == (app, user.id)
        assert isinstance(details["context"], RequestContext)
        assert details.get("reason", reason) == reason
        assert name != "user_deleted" or details["username"] == user.username


@pytest.mark.parametrize("statement", ["SELECT count(*) FROM sessions WHERE ended_at IS NULL"])
def test_the_end_is_committed_when_it_is_told(app: Flask, api: Api, heard: Heard, statement: str) -> None:
    user = a_user(app)
    for scope in ("local", "global"):
        token = a_session(app, user).access_token
        heard.seen.clear()
        heard.rows[:] = [count(statement)]
        assert api.post(f"/auth/logout?scope={scope}", token=token).status_code == 204
        assert heard.seen == [0]
        heard.rows.clear()


def test_what_ends_no_session_tells_of_none(app: Flask, heard: Heard) -> None:
    user = a_user(app)
    heard.signals.clear()
    with app.app_context():
        services(app).administration.end_sessions(user.id, OPERATOR)
        services(app).administration.set_password(user.id, NEW_PASSWORD, OPERATOR)
    assert heard.counts() == {"password_changed": 1}


def test_a_theft_is_told_as_the_end_of_its_session(app: Flask, heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = a_session(app, a_user(app))
    claims = services(app).tokens.read(pair.refresh_token)
    monkeypatch.setattr(services(app).sessions, "_retry", -services(app).sessions._retry)
    with app.app_context():
        services(app).sessions.refresh(claims, GUEST)
        heard.signals.clear()
        heard.rows.append(count("SELECT count(*) FROM sessions WHERE ended_at IS NULL"))
        with pytest.raises(RefreshTokenReused):
            services(app).sessions.refresh(claims, GUEST)
    [(name, _, details)] = heard.signals
    assert (name, details["reason"], str(details["session_id"])) == (
        "session_ended",
        "refresh_token_reused",
        claims["sid"],
    )
    assert heard.seen == [0]


def test_a_refresh_token_that_is_revoked_tells_of_its_session(app: Flask, api: Api, heard: Heard) -> None:
    pair = a_session(app, a_user(app))
    heard.signals.clear()
    for _ in range(2):
        api.post("/auth/revoke", token=pair.access_token, data={"token": pair.refresh_token})
    assert heard.counts() == {"session_ended": 1}


def test_nothing_is_told_of_what_was_refused(app: Flask, api: Api, heard: Heard) -> None:
    user = a_user(app)
    heard.signals.clear()
    body = {"username": user.username, "email": "other@example.com", "password": PASSWORD}
    problem(api.post("/auth/register", body), 409, "username_taken")
    problem(api.log_in(user.username, "wrong password"), 401, "invalid_credentials")
    assert heard.signals == []


@pytest.mark.parametrize("name", sorted({*ACTS} - {"a logout", "what changes nothing of these"}))
def test_nothing_is_told_when_the_transaction_fails(
    app: Flask, api: Api, heard: Heard, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    user = a_user(app)
    token = a_session(app, user).access_token
    heard.signals.clear()
    a_session(app, user)
    heard.signals.clear()
    monkeypatch.setattr("authapp.domain.audit.record", Mock(side_effect=ZeroDivisionError))
    try:
        response = ACTS[name][0](Scene(app, api, user, token))
    except ZeroDivisionError:
        response = None
    assert response is None or response.status_code == 500
    assert heard.signals == []


def test_a_session_that_does_not_start_is_not_told(
    app: Flask, api: Api, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = a_user(app)
    heard.signals.clear()
    monkeypatch.setattr("authapp.domain.audit.record", Mock(side_effect=ZeroDivisionError))
    monkeypatch.setattr("authapp.domain.audit.audit_params", Mock(side_effect=ZeroDivisionError))
    assert api.log_in(user.username).status_code == 500
    assert (
        api.post("/auth/register", {"username": "eve", "email": "eve@example.com", "password": PASSWORD}).status_code
        == 500
    )
    assert heard.signals == []


@pytest.mark.parametrize("name", sorted(TOLD_AFTERWARDS))
def test_a_receiver_that_fails_is_logged_and_harms_nobody(
    app: Flask, api: Api, heard: Heard, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    def fail(_app: Flask, **_: Any) -> None:
        raise ZeroDivisionError("a receiver of yours")

    signal: NamedSignal = getattr(hooks, name)
    body = {"username": "ada", "email": "ada@example.com", "password": PASSWORD}
    with signal.connected_to(fail), caplog.at_level(logging.ERROR):
        assert api.post("/auth/register", body).status_code == 201
        token = api.log_in("ada").get_json()["access_token"]
        a_session(app, services_find(app, "ada"))
        assert api("PUT", "/users/me/password", token, json=PASSWORDS).status_code == 204
        assert api("DELETE", "/users/me", token, json={"password": NEW_PASSWORD}).status_code == 204
    failures = [record for record in caplog.records if "a receiver of the signal" in record.message]
    assert len(failures) == heard.counts()[name], "the others are told all the same"
    assert all("failed: ZeroDivisionError, at\n" in record.message for record in failures)
    assert "a receiver of yours" not in caplog.text.replace('raise ZeroDivisionError("a receiver of yours")', "")
    assert heard.counts().keys() == TOLD_AFTERWARDS


def services_find(app: Flask, name: str) -> User:
    with app.app_context():
        return services(app).accounts.find(name)


def test_what_a_failing_receiver_left_open_in_the_database_harms_nobody(app: Flask, api: Api) -> None:
    def spoil(_app: Flask, **_: Any) -> None:
        db.session.execute(text("SELECT 1 / 0"))

    body = {"username": "ada", "email": "ada@example.com", "password": PASSWORD}
    with hooks.user_registered.connected_to(spoil), hooks.session_started.connected_to(spoil):
        assert api.post("/auth/register", body).status_code == 201
        with app.app_context():
            pair = services(app).password_login.log_in("ada", PASSWORD, GUEST)
            assert len(services(app).sessions.list_live(services(app).accounts.find("ada").id, 50).items) == 1
    assert api.get("/ping", pair.access_token).status_code == 200


def test_what_a_receiver_leaves_open_is_not_committed_by_the_next(app: Flask) -> None:
    def leave_open(_app: Flask, *, user_id: UUID, **_: Any) -> None:
        db.session.execute(update(User).where(User.id == user_id).values(username="eve"))

    def commit(_app: Flask, **_: Any) -> None:
        db.session.commit()

    with hooks.user_registered.connected_to(leave_open), hooks.user_registered.connected_to(commit):
        with app.app_context():
            registered(app)
        with app.app_context():
            assert services(app).accounts.find("ada").username == "ada"


def test_two_applications_do_not_hear_each_other(app: Flask, databases: Databases) -> None:
    first, second = [], []  # type: ignore[var-annotated]

    def hear_first(sender: Flask, **_: Any) -> None:
        first.append(sender)

    def hear_second(sender: Flask, **_: Any) -> None:
        second.append(sender)

    with databases.migrated() as url:
        other = create_app(settings(database_url=url))
        for signal in (hooks.user_registered, hooks.session_started):
            signal.connect(hear_first, sender=app)
            signal.connect(hear_second, sender=other)
        a_session(app, a_user(app))
        assert (first, second) == ([app, app], [])
        a_session(other, a_user(other))
        assert (first, second) == ([app, app], [other, other])
        dispose(other)
