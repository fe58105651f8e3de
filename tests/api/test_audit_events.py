"""The audit trail: what happened is there, with the actor and the address, and nothing secret; and it stays."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from flask import Flask
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DBAPIError
from werkzeug.test import TestResponse

from audit_scenes import NEW_PASSWORD, WRONG, Scene, events, refuse_events
from authapp.database.session import db
from authapp.domain.audit import EventType, event_types
from authapp.models import AuditEvent, User
from e2e.processes import ROOT
from factories import PASSWORD, Api, a_user, problem


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
    EventType.ACCOUNTS_EXPORTED: "tests/cli/test_users_export.py",
    EventType.USER_ERASED: "tests/cli/test_users_erase.py",
    EventType.USER_LOCKED: "tests/api/test_account_limits.py",
    EventType.KEY_ROTATED: "tests/cli/test_key_rings.py",
    EventType.KEY_RETIRED: "tests/cli/test_key_rings.py",
    EventType.AUDIT_PRUNED: "tests/api/test_audit_pruning.py",
    EventType.SESSION_STEPPED_UP: "tests/api/test_step_ups.py",
    # These need an authenticator.
    EventType.FACTOR_ADDED: "tests/api/test_passkeys.py",
    EventType.FACTOR_REMOVED: "tests/api/test_passkeys.py",
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
