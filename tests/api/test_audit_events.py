"""The audit trail: what happened is there, with the actor and the address, and nothing secret; and it stays."""

import json
from collections.abc import Callable
from datetime import timedelta, timezone
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DBAPIError
from werkzeug.test import TestResponse

from authapp import clock
from authapp.context import OPERATOR
from authapp.database.session import db
from authapp.domain import pruning
from authapp.domain.audit import EventType, event_types
from authapp.domain.services import Services
from authapp.models import AuditEvent, User
from cli.invoking import flask_users, succeeded
from e2e.processes import ROOT
from factories import PASSWORD, Api, a_session, a_user, problem
from factors import a_session_with_two_factors, an_app

NEW_PASSWORD = "another sentence, just as long"
WRONG = "not the password"


def events(app: Flask, event_type: str | None = None) -> list[AuditEvent]:
    statement = select(AuditEvent).order_by(AuditEvent.occurred_at, AuditEvent.id)
    with app.app_context():
        return list(db.session.scalars(statement.where(AuditEvent.type == event_type) if event_type else statement))


class Scene:
    """An administrator and a user, each logged in."""

    def __init__(self, app: Flask, api: Api) -> None:
        self.app, self.api = app, api
        self.admin, self.user = a_user(app, roles=["admin"]), a_user(app)
        self.as_admin = a_session_with_two_factors(app, api, self.admin, an_app(app, self.admin)).access_token
        self.pair = a_session(app, self.user)
        self.token = self.pair.access_token

    def patch(self, **changes: Any) -> Any:
        return self.api("PATCH", f"/users/{self.user.id}", self.as_admin, json=changes)

    def password(self, current: str) -> Any:
        body = {"current_password": current, "new_password": NEW_PASSWORD}
        return self.api("PUT", "/users/me/password", self.token, json=body)

    def fail(self) -> TestResponse:
        return self.api.log_in(self.user.username, WRONG)

    def refresh(self, token: str) -> TestResponse:
        return self.api.post("/auth/refresh", token=token)

    def refresh_twice(self) -> None:
        self.refresh(self.refresh(self.pair.refresh_token).get_json()["refresh_token"])

    def id_of(self, name: str | None) -> UUID | None:
        known = {"admin": self.admin.id, "user": self.user.id, None: None}
        if name in known:
            return known[name]
        with self.app.app_context():
            return Services.of(self.app).accounts.find(name).id

    def state(self) -> dict[str, list[str]]:
        """Return every row but for the trail itself, and the count of failures, which is kept before all else."""
        tables = ("users", "user_roles", "roles", "sessions", "token_blocklist")
        with self.app.app_context():
            return {
                table: sorted(db.session.scalars(text(f"SELECT row_to_json(t)::text FROM {table} AS t")))
                for table in tables
            }


def account(name: str) -> dict[str, str]:
    return {"username": name, "email": f"{name}@example.com", "password": PASSWORD}


class Action(NamedTuple):
    """What is done, and the names of its actor and its subject in a scene; ``first`` is what has to be done before."""

    actor: str | None
    subject: str | None
    do: Callable[[Scene], TestResponse]
    first: Callable[[Scene], object] = lambda _: None


def make_support(at: Scene) -> TestResponse:
    return at.api.post("/roles", {"name": "support"}, at.as_admin)


ACTIONS: dict[str, Action] = {
    EventType.USER_REGISTERED: Action("grace", "grace", lambda at: at.api.post("/auth/register", account("grace"))),
    EventType.USER_CREATED: Action("admin", "grace", lambda at: at.api.post("/users", account("grace"), at.as_admin)),
    EventType.USER_CHANGED: Action("admin", "user", lambda at: at.patch(email="other@example.com")),
    EventType.USER_DISABLED: Action("admin", "user", lambda at: at.patch(status="disabled")),
    EventType.USER_ENABLED: Action(
        "admin", "user", lambda at: at.patch(status="active"), first=lambda at: at.patch(status="disabled")
    ),
    EventType.USER_DELETED: Action("admin", "user", lambda at: at.api("DELETE", f"/users/{at.user.id}", at.as_admin)),
    EventType.USER_UNLOCKED: Action("admin", "user", lambda at: at.patch(status="active"), first=lambda at: at.fail()),
    EventType.LOGIN_REFUSED: Action(None, "user", lambda at: at.fail()),
    EventType.SESSION_STARTED: Action("user", "user", lambda at: at.api.log_in(at.user.username)),
    EventType.SESSION_REFRESHED: Action("user", "user", lambda at: at.refresh(at.pair.refresh_token)),
    EventType.SESSION_ENDED: Action("user", "user", lambda at: at.api.post("/auth/logout", token=at.token)),
    # Who holds a token that was exchanged before is not known.
    EventType.REFRESH_TOKEN_REUSED: Action(
        None, "user", lambda at: at.refresh(at.pair.refresh_token), first=lambda at: at.refresh_twice()
    ),
    EventType.TOKEN_REVOKED: Action(
        "user", "user", lambda at: at.api.post("/auth/revoke", token=at.token, data={"token": at.token})
    ),
    EventType.PASSWORD_CHANGED: Action("user", "user", lambda at: at.password(PASSWORD)),
    EventType.PASSWORD_REFUSED: Action("user", "user", lambda at: at.password(WRONG)),
    EventType.ROLE_GRANTED: Action("admin", "user", lambda at: at.patch(roles=["admin"])),
    EventType.ROLE_REVOKED: Action(
        "admin", "user", lambda at: at.patch(roles=[]), first=lambda at: at.patch(roles=["admin"])
    ),
    EventType.ROLE_CREATED: Action("admin", None, make_support),
    EventType.ROLE_CHANGED: Action(
        "admin",
        None,
        lambda at: at.api("PATCH", "/roles/support", at.as_admin, json={"description": "Phones."}),
        first=make_support,
    ),
    EventType.ROLE_DELETED: Action(
        "admin", None, lambda at: at.api("DELETE", "/roles/support", at.as_admin), first=make_support
    ),
}
ELSEWHERE = {
    # These need a provider.
    EventType.PROVIDER_LINKED: "tests/api/test_provider_links.py",
    EventType.PROVIDER_UNLINKED: "tests/api/test_provider_links.py",
    EventType.PROVIDER_REFUSED: "tests/api/test_provider_lies.py",
    EventType.USER_IMPORTED: "tests/cli/test_users_import.py",
    EventType.USER_EXPORTED: "tests/api/test_exports.py",
    EventType.USER_ERASED: "tests/cli/test_users_erase.py",
    EventType.USER_LOCKED: "tests/api/test_account_limits.py",
    EventType.KEY_ROTATED: "tests/cli/test_keys.py",
    EventType.KEY_RETIRED: "tests/cli/test_keys.py",
    EventType.AUDIT_PRUNED: "tests/api/test_audit_events.py",
    EventType.SESSION_STEPPED_UP: "tests/api/test_step_ups.py",
    # These need an authenticator.
    EventType.FACTOR_ADDED: "tests/api/test_passkeys.py",
    EventType.FACTOR_REMOVED: "tests/api/test_passkeys.py",
    EventType.PASSKEY_REFUSED: "tests/api/test_passkeys.py",
    EventType.PASSKEY_COUNTER_REVERSED: "tests/api/test_passkey_login_checks.py",
    EventType.FACTOR_RESET: "tests/api/test_factor_resets.py",
    EventType.SECOND_FACTOR_REFUSED: "tests/api/test_second_factors.py",
    EventType.RECOVERY_CODE_USED: "tests/api/test_second_factors.py",
    EventType.RECOVERY_CODES_CREATED: "tests/api/test_totp_enrolment.py",
    # These need a key.
    EventType.API_KEY_CREATED: "tests/api/test_api_keys.py",
    EventType.API_KEY_REVOKED: "tests/api/test_api_keys.py",
    EventType.API_KEY_REFUSED: "tests/api/test_api_keys.py",
    # These need a token, which is in a mail alone, or a sender.
    EventType.PASSWORD_RESET: "tests/api/test_password_resets.py",
    EventType.PASSWORD_VOIDED: "tests/api/test_forced_resets.py",
    EventType.PASSWORD_CHECK_SKIPPED: "tests/breach_files.py",
    EventType.EMAIL_VERIFIED: "tests/api/test_password_resets.py",
    EventType.EMAIL_CHANGE_REQUESTED: "tests/api/test_address_changes.py",
    EventType.EMAIL_CHANGE_WITHDRAWN: "tests/api/test_address_changes.py",
    EventType.EMAIL_CHANGED: "tests/api/test_address_changes.py",
    EventType.EMAIL_CHANGE_UNDONE: "tests/api/test_address_undo.py",
    EventType.PASSWORD_RESET_REQUESTED: "tests/domain/test_mail_delivery.py",
    EventType.LOGIN_LINK_SENT: "tests/domain/test_mail_delivery.py",
    EventType.MAIL_SENT: "tests/domain/test_mail_delivery.py",
    EventType.MAIL_FAILED: "tests/domain/test_mail_delivery.py",
}


def test_every_type_of_event_has_an_action() -> None:
    assert ACTIONS.keys() | ELSEWHERE.keys() == set(event_types)
    for event_type, path in ELSEWHERE.items():
        constant = event_type.replace(".", "_").upper()
        tests = (ROOT / path).read_text()
        assert f"== EventType.{constant}" in tests or f'"{event_type}"' in tests, event_type


@pytest.mark.parametrize("event_type", ACTIONS)
def test_an_action_is_recorded_with_its_actor_and_the_address(app: Flask, api: Api, event_type: str) -> None:
    scene = Scene(app, api)
    api.client.environ_base |= {"REMOTE_ADDR": "192.0.2.77", "HTTP_USER_AGENT": "teapot/1"}
    action = ACTIONS[event_type]
    action.first(scene)
    seen = {event.id for event in events(app, event_type)}

    action.do(scene)

    recorded = [event for event in events(app, event_type) if event.id not in seen]
    accounts = (scene.id_of(action.actor), scene.id_of(action.subject))
    assert [(event.actor_id, event.subject_id) for event in recorded] == [accounts]
    assert {(event.ip_address, event.user_agent) for event in recorded} == {("192.0.2.77", "teapot/1")}
    assert all(event.request_id for event in recorded)
    assert_nothing_is_secret(app, scene)


def assert_nothing_is_secret(app: Flask, scene: Scene) -> None:
    with app.app_context():
        columns = AuditEvent.__table__.columns.keys()
        shown = json.dumps([[str(getattr(each, name)) for name in columns] for each in events(app)])
        hashes = list(db.session.scalars(select(User.password_hash)))
    secrets = [PASSWORD, NEW_PASSWORD, WRONG, scene.token, scene.as_admin, scene.pair.refresh_token, *hashes]
    assert [secret for secret in secrets if secret in shown] == []


def test_what_a_guest_typed_as_a_name_is_not_kept(app: Flask, api: Api) -> None:
    api.log_in("my password by mistake", WRONG)
    (event,) = events(app, EventType.LOGIN_REFUSED)
    assert (event.subject_id, event.actor_id) == (None, None)
    assert "mistake" not in json.dumps(event.details)


def test_what_was_refused_leaves_no_event(app: Flask, api: Api) -> None:
    scene = Scene(app, api)
    before = len(events(app))
    assert scene.patch(email=scene.admin.email).status_code == 409
    problem(api("DELETE", f"/users/{scene.admin.id}", scene.as_admin), 409, "last_admin")
    assert len(events(app)) == before


def refuse_events(app: Flask, event_type: str) -> None:
    """Let the database refuse this type of event from now on."""
    with app.app_context():
        db.session.execute(
            text(f"ALTER TABLE audit_events ADD CONSTRAINT refused CHECK (type <> '{event_type}') NOT VALID")
        )
        db.session.commit()


@pytest.mark.committed
@pytest.mark.parametrize("event_type", ACTIONS)
def test_what_cannot_be_recorded_does_not_happen(app: Flask, api: Api, event_type: str) -> None:
    scene = Scene(app, api)
    ACTIONS[event_type].first(scene)
    refuse_events(app, event_type)
    state_before, events_before = scene.state(), len(events(app))

    problem(ACTIONS[event_type].do(scene), 500, "internal_error")

    assert scene.state() == state_before
    assert len(events(app)) == events_before


@pytest.mark.parametrize(
    "statement",
    [update(AuditEvent).values(details={}), delete(AuditEvent), text("TRUNCATE audit_events")],
    ids=["update", "delete", "truncate"],
)
def test_the_trail_can_only_grow(app: Flask, statement: Any) -> None:
    a_user(app)
    with app.app_context(), pytest.raises(DBAPIError):
        db.session.execute(statement)
    with app.app_context():
        db.session.rollback()


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


def test_events_are_filtered_and_come_in_pages(app: Flask, api: Api) -> None:
    scene = Scene(app, api)
    scene.patch(status="disabled")
    scene.patch(status="active")

    def types(**query: Any) -> list[str]:
        found: list[str] = []
        while True:
            page = api.get("/audit-events", scene.as_admin, query_string={"limit": 1, **query}).get_json()
            found += [event["type"] for event in page["items"]]
            if page["next_cursor"] is None:
                return found
            query["cursor"] = page["next_cursor"]

    assert types(type="user.disabled") == ["user.disabled"]
    of_user = types(user_id=str(scene.user.id))
    assert of_user[:3] == ["user.enabled", "user.disabled", "session.started"]
    of_admin = types(user_id=str(scene.admin.id))
    assert of_admin[:2] == ["user.enabled", "user.disabled"]
    assert types(since=clock.rfc3339(clock.now() + timedelta(hours=1))) == []
    assert types(until=clock.rfc3339(clock.now() - timedelta(hours=1))) == []
    problem(api.get("/audit-events", scene.as_admin, query_string={"since": "yesterday"}), 422, "validation_failed")


@pytest.mark.parametrize("bound", ["since", "until"])
@pytest.mark.parametrize(
    ("timestamp", "status"),
    [
        ("2026-01-01T00:00:00+15:59", 200),
        ("2026-01-01T00:00:00+16:00", 200),
        ("2026-01-01T00:00:00-23:59", 200),
        ("2026-01-01T00:00:00+23:59:59", 200),
        ("0001-01-01T00:00:00Z", 200),
        ("9999-12-31T23:59:59.999999Z", 200),
        ("0001-01-01T00:00:00+00:01", 422),
        ("0001-01-01T00:00:00+23:59", 422),
        ("9999-12-31T23:59:59-23:59", 422),
        ("9999-12-31T23:59:59-00:01", 422),
        ("2026-01-01T00:00:00+24:00", 422),
        ("2026-01-01T00:00:00", 422),
        ("0000-01-01T00:00:00Z", 422),
        ("10000-01-01T00:00:00Z", 422),
        ("infinity", 422),
        ("\0", 422),
    ],
)
def test_a_time_of_any_offset_is_accepted_or_named(
    app: Flask, api: Api, bound: str, timestamp: str, status: int
) -> None:
    token = a_session(app, a_user(app, roles=["admin"])).access_token
    answer = api.get("/audit-events", token, query_string={bound: timestamp})
    assert answer.status_code == status, answer.get_json()
    if status == 422:
        (error,) = problem(answer, 422, "validation_failed")["errors"]
        assert error["pointer"] == f"#/query/{bound}"


def test_an_offset_says_which_time_is_meant(app: Flask, api: Api) -> None:
    token = a_session(app, a_user(app, roles=["admin"])).access_token
    now = clock.now()

    def found(offset: int, **bound: int) -> int:
        zone = timezone(timedelta(hours=offset))
        query = {name: (now + timedelta(minutes=minutes)).astimezone(zone) for name, minutes in bound.items()}
        return len(api.get("/audit-events", token, query_string=query | {"limit": 1}).get_json()["items"])

    for offset in (-23, 0, 23):
        assert (found(offset, since=-5), found(offset, since=5)) == (1, 0)
        assert (found(offset, until=-5), found(offset, until=5)) == (0, 1)


def test_people_see_what_happened_to_them_but_not_where_administrators_sit(app: Flask, api: Api) -> None:
    scene = Scene(app, api)
    scene.fail()
    scene.patch(roles=["admin"])
    items = api.get("/users/me/activity", scene.token).get_json()["items"]
    assert [item["type"] for item in items][:3] == ["role.granted", "login.refused", "session.started"]
    granted, refused, started = items[:3]
    assert granted["actor_id"] == str(scene.admin.id)
    assert (granted["ip_address"], granted["user_agent"], granted["session_id"]) == (None, None, None)
    assert refused["ip_address"] is not None
    assert started["ip_address"] == "192.0.2.1"
    assert {item["subject_id"] for item in items} == {str(scene.user.id)}


def test_operators_are_recorded_without_an_actor_and_are_not_taken_for_guests(app: Flask, api: Api) -> None:
    user = a_user(app)
    succeeded(flask_users(app, "disable", user.username))
    (event,) = events(app, EventType.USER_DISABLED)
    assert (event.actor_id, event.subject_id) == (None, user.id)
    assert (event.ip_address, event.user_agent, event.request_id) == (None, "flask CLI", None)

    api.client.environ_base |= {"HTTP_USER_AGENT": "flask CLI"}
    api.log_in("nobody")
    (event,) = events(app, EventType.LOGIN_REFUSED)
    assert (event.user_agent, event.ip_address is None, event.request_id is None) == ("flask CLI", False, False)
