"""Starting a session for a user who was authenticated, by whatever method: ``sessions.start``."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from concurrently import at_once
from flask import Flask
from sqlalchemy import func, select, update

from authapp import clock, token_claims
from authapp.context import OPERATOR
from authapp.database.session import db
from authapp.domain.services import Services
from authapp.domain.sessions.authentication import AuthenticationResult
from authapp.domain.sessions.token_pairs import TokenPair
from authapp.domain.users.administration import Changes
from authapp.errors import InvalidCredentials
from authapp.models import AuditEvent, Session, User
from authapp.models.role import ADMIN
from factories import GUEST, PASSWORD, Api, a_session, a_user

AUTH_TIME = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
SECONDS = int(AUTH_TIME.timestamp())
AMR = ["otp", "hwk"]


def result(user: User, **changes: Any) -> AuthenticationResult:
    proven = AuthenticationResult(user.id, ("otp", "hwk"), auth_time=AUTH_TIME, account_version=user.updated_at)
    return replace(proven, **changes)


def start(app: Flask, user: User, **changes: Any) -> TokenPair | None:
    with app.app_context():
        return Services.of(app).sessions.start(result(user, **changes), GUEST)


def started(app: Flask, user: User, **changes: Any) -> TokenPair:
    pair = start(app, user, **changes)
    assert pair is not None
    return pair


def claims(app: Flask, token: str) -> dict[str, Any]:
    return dict(Services.of(app).tokens.read(token))


def stored(app: Flask) -> dict[str, Any]:
    """Return what a session that starts would leave in the database."""
    with app.app_context():
        return {
            "sessions": db.session.scalar(select(func.count()).select_from(Session)),
            "events": db.session.scalar(select(func.count()).select_from(AuditEvent)),
            "last_login_at": db.session.scalars(select(User.last_login_at).order_by(User.id)).all(),
            "usernames": db.session.scalars(select(User.username).order_by(User.id)).all(),
        }


@pytest.fixture
def user(app: Flask) -> User:
    """A user without a password."""
    return a_user(app, password=None)


def test_a_user_without_a_password_gets_a_session(app: Flask, api: Api, user: User) -> None:
    pair = started(app, user)
    assert api.get("/users/me", pair.access_token).get_json()["id"] == str(user.id)
    with app.app_context():
        row = db.session.scalars(select(Session)).one()
        event = db.session.scalars(select(AuditEvent).where(AuditEvent.type == "session.started")).one()
        last_login_at = db.session.scalar(select(User.last_login_at))
    assert (row.user_id, row.amr, row.auth_time) == (user.id, AMR, AUTH_TIME)
    assert (event.subject_id, event.session_id, event.ip_address) == (user.id, row.id, GUEST.ip_address)
    assert last_login_at == row.created_at


@pytest.mark.parametrize("password", [PASSWORD, "", "null", "None"])
def test_no_password_logs_in_a_user_without_one(app: Flask, user: User, password: str) -> None:
    with app.app_context(), pytest.raises(InvalidCredentials):
        Services.of(app).password_login.log_in(user.username, password, GUEST)


def test_both_tokens_say_how_and_when_the_user_was_authenticated(app: Flask, user: User) -> None:
    pair = started(app, user)
    for token in (pair.access_token, pair.refresh_token):
        said = claims(app, token)
        assert (said["amr"], said["auth_time"], said["client_id"]) == (AMR, SECONDS, said["aud"])


def test_a_refresh_changes_neither_how_nor_when(app: Flask, api: Api, user: User) -> None:
    pair = started(app, user)
    for _ in range(2):
        fresh = api.post("/auth/refresh", token=pair.refresh_token).get_json()
        pair = replace(pair, access_token=fresh["access_token"], refresh_token=fresh["refresh_token"])
        for token in (pair.access_token, pair.refresh_token):
            assert (claims(app, token)["amr"], claims(app, token)["auth_time"]) == (AMR, SECONDS)


def test_a_login_with_a_password_is_pwd_and_now(app: Flask) -> None:
    before = int(clock.now().timestamp())
    said = claims(app, a_session(app, a_user(app)).access_token)
    assert said["amr"] == ["pwd"]
    assert before <= said["auth_time"] <= clock.now().timestamp()


def test_the_principal_introspection_and_the_list_of_sessions_say_it_too(app: Flask, api: Api, user: User) -> None:
    pair = started(app, user)
    for token in (pair.access_token, pair.refresh_token):
        with app.app_context():
            live = Services.of(app).introspection.introspect(token)
        assert live is not None
        assert (live.principal.amr, live.principal.auth_time) == (AMR, AUTH_TIME)
        asker = a_session(app, a_user(app, roles=[ADMIN])).access_token
        shown = api.post("/auth/introspect", token=asker, data={"token": token}).get_json()
        assert (shown["active"], shown["amr"], shown["auth_time"]) == (True, AMR, SECONDS)
    listed = api.get("/users/me/sessions", pair.access_token).get_json()["items"]
    assert [session["amr"] for session in listed] == [AMR]


def test_a_result_that_no_token_could_tell_of_is_refused(user: User) -> None:
    for amr in ((), ("",), ("pwd", "")):
        with pytest.raises(ValueError, match="amr"):
            result(user, amr=amr)
    with pytest.raises(ValueError, match="time zone"):
        result(user, auth_time=AUTH_TIME.replace(tzinfo=None))


def test_an_account_that_changed_since_it_was_proven_starts_nothing_and_leaves_nothing(app: Flask, user: User) -> None:
    changed = user.updated_at + timedelta(microseconds=1)
    with app.app_context():
        db.session.execute(update(User).where(User.id == user.id).values(updated_at=changed))
        db.session.commit()
    before = stored(app)
    assert start(app, user) is None
    assert stored(app) == before
    assert start(app, user, account_version=changed) is not None


def test_a_login_does_not_count_as_a_change(app: Flask, user: User) -> None:
    assert all(start(app, user) is not None for _ in range(3))


@pytest.mark.parametrize("change", ["password", "status", "roles", "names"])
def test_every_change_of_an_account_voids_what_was_proven_before(app: Flask, user: User, change: str) -> None:
    administration = Services.of(app).administration
    with app.app_context():
        if change == "password":
            administration.set_password(user.id, "another long sentence", OPERATOR)
        elif change == "status":
            administration.disable(user.id, OPERATOR)
            administration.enable(user.id, OPERATOR)
        elif change == "roles":
            administration.grant(user.id, ADMIN, OPERATOR)
        else:
            administration.change(user.id, Changes(username="renamed"), OPERATOR)
    assert start(app, user) is None


def test_a_disabled_user_and_one_who_is_gone_get_none(app: Flask, user: User) -> None:
    administration = Services.of(app).administration
    with app.app_context():
        disabled = administration.disable(user.id, OPERATOR)
    before = stored(app)
    assert start(app, user, account_version=disabled.updated_at) is None
    assert stored(app) == before
    with app.app_context():
        administration.delete(user.id, OPERATOR)
    assert start(app, user, account_version=disabled.updated_at) is None


@pytest.fixture
def plan() -> Iterator[None]:
    token_claims.register("notes:plan", lambda user_id, session_id: {"user": str(user_id), "session": str(session_id)})
    yield
    token_claims.unregister("notes:plan")


@pytest.mark.usefixtures("plan")
def test_extra_claims_are_in_access_tokens_alone(app: Flask, api: Api, user: User) -> None:
    pair = started(app, user)
    refreshed = api.post("/auth/refresh", token=pair.refresh_token).get_json()
    wanted = {"user": str(user.id), "session": claims(app, pair.access_token)["sid"]}
    for token in (pair.access_token, refreshed["access_token"]):
        assert claims(app, token)["notes:plan"] == wanted
        assert api.get("/ping", token).status_code == 200
    for token in (pair.refresh_token, refreshed["refresh_token"]):
        assert "notes:plan" not in claims(app, token)


@pytest.mark.committed
def test_a_parallel_change_of_the_password_refuses_the_login(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The password was right when it was verified, and is another one when the session would start."""
    services, user = Services.of(app), a_user(app)
    verified, changed = threading.Event(), threading.Event()
    start_session = services.sessions.start

    def start_later(*arguments: Any) -> Any:
        verified.set()
        assert changed.wait(20)
        return start_session(*arguments)

    def change() -> None:
        assert verified.wait(20)
        services.administration.set_password(user.id, "another long sentence", OPERATOR)
        changed.set()

    monkeypatch.setattr(services.sessions, "start", start_later)
    outcome, _ = at_once(app, lambda: services.password_login.log_in(user.username, PASSWORD, GUEST), change)
    assert outcome is InvalidCredentials
    assert stored(app)["sessions"] == 0
    assert isinstance(a_session(app, user, "another long sentence"), TokenPair)


def test_the_times_of_a_session_are_those_of_its_start(app: Flask, user: User) -> None:
    pair = started(app, user, auth_time=clock.now() - timedelta(hours=3))
    access = claims(app, pair.access_token)
    assert access["iat"] - access["auth_time"] in {3 * 3600, 3 * 3600 + 1}
    with app.app_context():
        row = db.session.get_one(Session, (UUID(access["sub"]), UUID(access["sid"])))
    assert row.auth_time is not None
    assert row.created_at - row.auth_time >= timedelta(hours=3)
