"""Hooks that are told before something happens, and may refuse it: within its transaction, or before there is one."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any
from unittest.mock import Mock
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import func, insert, select, text, update

from authapp import hooks
from authapp.context import OPERATOR, RequestContext
from authapp.database.session import db, transaction
from authapp.domain import audit
from authapp.domain.services import Services
from authapp.domain.sessions.authentication import AuthenticationResult
from authapp.domain.users.administration import Changes
from authapp.errors import PermissionDenied, RegistrationClosed
from authapp.models import AuditEvent, User, UserRole
from authapp.models.role import ADMIN
from domain.heard import Heard, hearing
from factories import GUEST, PASSWORD, Api, a_token, a_user, problem

pytestmark = pytest.mark.committed
NEW_PASSWORD = "another long sentence"


@pytest.fixture
def heard(app: Flask) -> Iterator[Heard]:
    with hearing(app) as heard:
        yield heard


def test_a_registration_can_be_vetoed_before_its_password_is_hashed(
    app: Flask, api: Api, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def veto(sender: Flask, **details: Any) -> None:
        assert sender is app
        asked.append(details)
        raise RegistrationClosed("Not today.")

    hashes = Mock(side_effect=AssertionError("a hash was computed"))
    monkeypatch.setattr(Services.of(app).hasher, "hash", hashes)
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


@pytest.mark.parametrize("name", ["before_registration", "before_session_start"])
@pytest.mark.parametrize("refuses", [True, False])
def test_a_receiver_before_a_transaction_commits_what_it_writes_and_the_rest_is_rolled_back(
    app: Flask, name: str, refuses: bool
) -> None:
    user, signal = a_user(app), getattr(hooks, name)

    def write(_app: Flask, *, context: RequestContext, **_: Any) -> None:
        with transaction():
            audit.record("user.enabled", context=context, subject_id=user.id)
        audit.record("user.disabled", context=context, subject_id=user.id)
        if refuses:
            raise PermissionDenied

    acts: dict[str, Callable[[Services], Any]] = {
        "before_registration": lambda on: on.accounts.register(
            username="new", email="new@example.com", password=PASSWORD, context=GUEST
        ),
        "before_session_start": lambda on: on.password_login.log_in(user.username, PASSWORD, GUEST),
    }
    refused = pytest.raises(PermissionDenied) if refuses else nullcontext()
    with app.app_context(), signal.connected_to(write), refused:
        acts[name](Services.of(app))
    with app.app_context():
        types = select(AuditEvent.type).where(AuditEvent.type.in_(["user.enabled", "user.disabled"]))
        assert db.session.scalars(types).all() == ["user.enabled"]


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
            CHANGES[field](Services.of(app), user)
        assert row(user) == before
        with hooks.user_changing.connected_to(write):
            CHANGES[field](Services.of(app), user)
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
        changed = CHANGES[field](Services.of(app), user)
    assert changed.roles == [ADMIN]
    assert changed.email_verified_at is not None


def test_a_receiver_that_would_commit_the_transaction_it_is_in_is_refused(app: Flask) -> None:
    user = a_user(app)

    def grant(_app: Flask, *, user_id: UUID, **_: Any) -> None:
        Services.of(app).administration.grant(user_id, ADMIN, OPERATOR)

    with app.app_context(), hooks.user_changing.connected_to(grant):
        with pytest.raises(RuntimeError, match="within the transaction of another"):
            Services.of(app).administration.change(user.id, Changes(username="Renamed"), OPERATOR)
        assert row(user)["username"] == user.username


def test_a_receiver_of_a_change_learns_the_previous_names(app: Flask) -> None:
    user, heard = a_user(app), []

    def hear(_app: Flask, *, previous: dict[str, str], **_: Any) -> None:
        db.session.flush()
        heard.append(previous)

    with app.app_context(), hooks.user_changing.connected_to(hear):
        Services.of(app).administration.change(user.id, Changes(email="new@example.com"), OPERATOR)
        Services.of(app).administration.disable(user.id, OPERATOR)
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
        Services.of(app).accounts.rename(user.id, username=user.username, context=GUEST)
        Services.of(app).administration.change(user.id, Changes(email=user.email), OPERATOR)
        assert heard == []
        Services.of(app).accounts.rename(user.id, username="Renamed", context=GUEST)
        Services.of(app).accounts.change_password(user.id, None, PASSWORD, NEW_PASSWORD, GUEST)
    assert heard == [{"username"}, {"password"}]


def row(user: User) -> dict[str, Any]:
    db.session.rollback()
    columns = db.session.execute(select(User.__table__).where(User.id == user.id)).mappings().one()
    roles = db.session.scalars(select(UserRole.role_name).where(UserRole.user_id == user.id)).all()
    return {**columns, "roles": roles}


def test_a_claim_is_sent_within_the_transaction_of_the_reset(app: Flask) -> None:
    user, seen = a_user(app), []

    def claimed(sender: object, *, user_id: Any, context: Any, **_: object) -> None:
        assert db.session().in_transaction()
        seen.append((sender, user_id, context))

    token = a_token(app, user)
    with hooks.credentials_voiding.connected_to(claimed), app.app_context():
        Services.of(app).email.password_resets.complete(token, "another good pass phrase", GUEST)
    assert seen == [(app, user.id, GUEST)]
