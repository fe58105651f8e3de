"""Hooks: each signal is sent once, after the commit, to those who listen to this application; and harms nobody."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest.mock import Mock
from uuid import UUID

import pytest
from blinker import NamedSignal
from flask import Flask
from sqlalchemy import create_engine, func, insert, select, text, update

from authapp import create_app, hooks
from authapp.context import OPERATOR, RequestContext
from authapp.database.session import db
from authapp.domain.services import Services
from authapp.domain.sessions.authentication import AuthenticationResult
from authapp.domain.users.administration import Changes
from authapp.errors import PermissionDenied, RefreshTokenReused, RegistrationClosed
from authapp.models import AuditEvent, User, UserRole
from authapp.models.role import ADMIN
from conftest import dispose
from databases import Databases
from factories import GUEST, PASSWORD, Api, a_session, a_token, a_user, problem
from settings import settings

pytestmark = pytest.mark.committed
NEW_PASSWORD = "another long sentence"
TOLD_AFTERWARDS = {
    "user_registered",
    "user_deleted",
    "session_started",
    "session_ended",
    "password_changed",
}

SENT_BEFORE = {"before_registration", "before_session_start", "user_creating", "user_changing", "account_claimed"}


class Heard:
    """What was heard of one application: the signals, with what was sent, and the database as others see it then."""

    def __init__(self, url: str) -> None:
        self.signals: list[tuple[str, Any, dict[str, Any]]] = []
        self.rows: list[Callable[[Any], Any]] = []
        self.seen: list[Any] = []
        self._engine = create_engine(url)
        self._receivers: list[tuple[NamedSignal, Callable[..., None]]] = []

    def listen(self, name: str, signal: NamedSignal) -> None:
        def receive(sender: Any, **details: Any) -> None:
            self.signals.append((name, sender, details))
            with self._engine.connect() as connection:
                self.seen += [look(connection) for look in self.rows]

        self._receivers.append((signal, receive))  # a signal holds its receivers weakly
        signal.connect(receive)

    def counts(self) -> dict[str, int]:
        return dict(Counter(name for name, _, _ in self.signals))

    def close(self) -> None:
        for signal, receive in self._receivers:
            signal.disconnect(receive)
        self._engine.dispose()


@pytest.fixture
def heard(app: Flask) -> Iterator[Heard]:
    heard = Heard(Services.of(app).settings.database_url)
    for name in sorted(TOLD_AFTERWARDS):
        heard.listen(name, getattr(hooks, name))
    yield heard
    heard.close()


def count(statement: str) -> Callable[[Any], Any]:
    return lambda connection: connection.execute(text(statement)).scalar()


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
    monkeypatch.setattr(services(app).sessions, "_grace", -services(app).sessions._grace)
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
    assert all(record.exc_info and record.exc_info[0] is ZeroDivisionError for record in failures)
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


def test_a_registration_can_be_vetoed_before_its_password_is_hashed(
    app: Flask, api: Api, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def veto(sender: Flask, **details: Any) -> None:
        assert sender is app
        asked.append(details)
        raise RegistrationClosed("Not today.")

    hashes = Mock(side_effect=AssertionError("a hash was computed"))
    monkeypatch.setattr(services(app).hasher, "hash", hashes)
    body = {"username": "Ada", "email": "Ada@EXAMPLE.com", "password": PASSWORD}
    with hooks.before_registration.connected_to(veto):
        answer = problem(api.post("/auth/register", body), 403, "registration_closed")
    assert answer["detail"] == "Not today."
    [details] = asked
    assert (details["username"], details["email"]) == ("Ada", "Ada@example.com")
    assert details["context"].ip_address == "127.0.0.1"
    assert "password" not in details
    assert heard.signals == []
    assert hashes.call_count == 0
    with app.app_context():
        assert db.session.execute(text("SELECT count(*) FROM users")).scalar() == 0


def test_the_veto_is_not_asked_for_names_that_cannot_be_nor_for_operators(app: Flask, api: Api) -> None:
    asked: list[Any] = []

    def note(_app: Flask, **details: Any) -> None:
        asked.append(details)

    with hooks.before_registration.connected_to(note):
        bad = {"username": "a", "email": "b", "password": PASSWORD}
        problem(api.post("/auth/register", bad), 422, "validation_failed")
        a_user(app)
        assert asked == []
        body = {"username": "ada", "email": "ada@example.com", "password": PASSWORD}
        assert api.post("/auth/register", body).status_code == 201
        assert len(asked) == 1


def test_an_error_in_the_veto_registers_nobody(api: Api, heard: Heard) -> None:
    def fail(_app: Flask, **_: Any) -> None:
        raise ZeroDivisionError

    body = {"username": "ada", "email": "ada@example.com", "password": PASSWORD}
    with hooks.before_registration.connected_to(fail):
        problem(api.post("/auth/register", body), 500, "internal_error")
    assert heard.signals == []


def test_a_login_can_be_vetoed_after_the_user_is_authenticated(app: Flask, api: Api, heard: Heard) -> None:
    user, asked = a_user(app), []
    heard.signals.clear()

    def veto(_app: Flask, *, result: AuthenticationResult, context: RequestContext, **_: Any) -> None:
        asked.append((result.user_id, result.amr, context.ip_address))
        raise PermissionDenied("Not before you have paid.")

    with hooks.before_session_start.connected_to(veto):
        answer = problem(api.log_in(user.username), 403, "permission_denied")
        problem(api.log_in(user.username, "wrong"), 401, "invalid_credentials")
    assert answer["detail"] == "Not before you have paid."
    assert asked == [(user.id, ("pwd",), "127.0.0.1")]
    assert heard.signals == []
    assert api.log_in(user.username).status_code == 200


def test_receivers_are_asked_in_the_order_in_which_they_were_connected(app: Flask, api: Api) -> None:
    user, asked = a_user(app), []

    def receiver(number: int) -> Callable[..., None]:
        return lambda _app, **_: asked.append(number)

    def refuse(_app: Flask, **_: Any) -> None:
        raise PermissionDenied

    receivers = [*map(receiver, range(8)), refuse, receiver(8)]
    for each in receivers:
        hooks.before_session_start.connect(each)
    try:
        problem(api.log_in(user.username), 403, "permission_denied")
    finally:
        for each in receivers:
            hooks.before_session_start.disconnect(each)
    assert asked == list(range(8))


def test_a_login_that_a_hook_refuses_is_recorded_and_counts_as_no_wrong_password(app: Flask, api: Api) -> None:
    user = a_user(app)

    def refuse(_app: Flask, **_: Any) -> None:
        raise PermissionDenied

    with hooks.before_session_start.connected_to(refuse):
        for _ in range(12):  # more than the failures after which an account must wait
            problem(api.log_in(user.username), 403, "permission_denied")
    assert api.log_in(user.username).status_code == 200
    with app.app_context():
        refused = select(AuditEvent.details).where(AuditEvent.type == "login.refused")
        assert db.session.scalars(refused).all() == [{"code": "permission_denied"}] * 12


CHANGES: dict[str, Callable[[Services, User], Any]] = {
    "username": lambda on, user: on.administration.change(user.id, Changes(username="Renamed"), OPERATOR),
    "email": lambda on, user: on.administration.change(user.id, Changes(email="new@example.com"), OPERATOR),
    "status": lambda on, user: on.administration.disable(user.id, OPERATOR),
    "password": lambda on, user: on.administration.set_password(user.id, NEW_PASSWORD, OPERATOR),
    "roles": lambda on, user: on.administration.grant(user.id, ADMIN, OPERATOR),
}


@pytest.mark.parametrize("field", CHANGES)
def test_a_receiver_of_a_change_is_part_of_its_transaction(app: Flask, field: str) -> None:
    user, heard = a_user(app), []

    def write(_app: Flask, *, user_id: UUID, fields: set[str], **_: Any) -> None:
        db.session.execute(update(User).where(User.id == user_id).values(last_login_at=func.now()))
        heard.append((user_id, fields))

    def refuse(_app: Flask, **_: Any) -> None:
        raise PermissionDenied

    with app.app_context():
        before = row(user)
        with hooks.user_changing.connected_to(refuse), pytest.raises(PermissionDenied):
            CHANGES[field](services(app), user)
        assert row(user) == before
        with hooks.user_changing.connected_to(write):
            CHANGES[field](services(app), user)
        assert heard == [(user.id, {field})]
        assert row(user) != before
        assert row(user)["last_login_at"] is not None


def test_a_receiver_of_a_registration_is_part_of_its_transaction(app: Flask, api: Api) -> None:
    body = {"username": "ada", "email": "ada@example.com", "password": PASSWORD}

    def grant(_app: Flask, *, user_id: UUID, **_: Any) -> None:
        db.session.add(UserRole(user_id=user_id, role_name=ADMIN))

    def refuse(_app: Flask, **_: Any) -> None:
        raise PermissionDenied

    with hooks.user_creating.connected_to(refuse):
        problem(api.post("/auth/register", body), 403, "permission_denied")
    with hooks.user_creating.connected_to(grant):
        registered = api.post("/auth/register", body)
        assert (registered.status_code, registered.get_json()["roles"]) == (201, [ADMIN])
        user = a_user(app)
        assert user.roles == [ADMIN]
    with app.app_context():
        holders = select(User.username).join(UserRole, UserRole.user_id == User.id).where(UserRole.role_name == ADMIN)
        assert set(db.session.scalars(holders)) == {"ada", user.username}


@pytest.mark.parametrize("field", ["username", "email", "status", "password"])
def test_what_a_receiver_of_a_change_writes_is_in_the_account_that_is_returned(app: Flask, field: str) -> None:
    user = a_user(app)

    def write(_app: Flask, *, user_id: UUID, **_: Any) -> None:
        db.session.execute(insert(UserRole).values(user_id=user_id, role_name=ADMIN))
        db.session.execute(update(User.__table__).where(User.id == user_id).values(email_verified_at=func.now()))

    with app.app_context(), hooks.user_changing.connected_to(write):
        changed = CHANGES[field](services(app), user)
    assert changed.roles == [ADMIN]
    assert changed.email_verified_at is not None


def test_a_receiver_that_would_commit_the_transaction_it_is_in_is_refused(app: Flask) -> None:
    user = a_user(app)

    def grant(_app: Flask, *, user_id: UUID, **_: Any) -> None:
        services(app).administration.grant(user_id, ADMIN, OPERATOR)

    with app.app_context(), hooks.user_changing.connected_to(grant):
        with pytest.raises(RuntimeError, match="within the transaction of another"):
            services(app).administration.change(user.id, Changes(username="Renamed"), OPERATOR)
        assert row(user)["username"] == user.username


def test_a_receiver_of_a_change_learns_the_previous_names(app: Flask) -> None:
    user, heard = a_user(app), []

    def hear(_app: Flask, *, previous: dict[str, str], **_: Any) -> None:
        db.session.flush()
        heard.append(previous)

    with app.app_context(), hooks.user_changing.connected_to(hear):
        services(app).administration.change(user.id, Changes(email="new@example.com"), OPERATOR)
        services(app).administration.disable(user.id, OPERATOR)
    assert heard == [{"email": user.email}, {}]


def test_an_answer_that_asks_for_another_step_is_no_failed_login(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = a_user(app)
    monkeypatch.setattr(PermissionDenied, "is_final", False)

    def ask(_app: Flask, **_: Any) -> None:
        raise PermissionDenied

    with hooks.before_session_start.connected_to(ask):
        problem(api.log_in(user.username), 403, "permission_denied")
    with app.app_context():
        assert db.session.scalars(select(AuditEvent).where(AuditEvent.type == "login.refused")).all() == []


def test_an_owner_tells_of_their_own_changes_and_of_nothing_that_stays(app: Flask) -> None:
    user, heard = a_user(app), []

    def hear(_app: Flask, *, fields: set[str], **_: Any) -> None:
        heard.append(fields)

    with app.app_context(), hooks.user_changing.connected_to(hear):
        services(app).accounts.rename(user.id, username=user.username, context=GUEST)
        services(app).administration.change(user.id, Changes(email=user.email), OPERATOR)
        assert heard == []
        services(app).accounts.rename(user.id, username="Renamed", context=GUEST)
        services(app).accounts.change_password(user.id, None, PASSWORD, NEW_PASSWORD, GUEST)
    assert heard == [{"username"}, {"password"}]


def row(user: User) -> dict[str, Any]:
    db.session.rollback()
    columns = db.session.execute(select(User.__table__).where(User.id == user.id)).mappings().one()
    roles = db.session.scalars(select(UserRole.role_name).where(UserRole.user_id == user.id)).all()
    return {**columns, "roles": roles}


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


def test_a_claim_is_sent_within_the_transaction_of_the_reset(app: Flask) -> None:
    user, seen = a_user(app), []

    def claimed(sender: object, *, user_id: Any, context: Any, **_: object) -> None:
        assert db.session().in_transaction()
        seen.append((sender, user_id, context))

    token = a_token(app, user)
    with hooks.account_claimed.connected_to(claimed), app.app_context():
        services(app).password_resets.complete(token, "another good pass phrase", GUEST)
    assert seen == [(app, user.id, GUEST)]
