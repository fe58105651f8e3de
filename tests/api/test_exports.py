"""GET /users/me/export."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from authapp import clock
from authapp.config import RateLimit
from authapp.database.session import db, transaction
from authapp.domain import own_exports
from authapp.models import User
from clocks import Time
from conftest import reconfigured
from factories import PASSWORD, Api, a_session, a_user, an_api_key, events_of, problem


def test_an_export_has_the_account_its_factors_sessions_and_events(
    app: Flask, api: Api, user: User, token: str
) -> None:
    a_session(app, a_user(app))
    an_api_key(app, a_user(app), name="of another")
    key = an_api_key(app, user, name="nightly backup")

    body = api.get("/users/me/export", token).get_json()

    assert list(body) == ["user", "previous_emails", "factors", "sessions", "api_keys", "activity"]
    # What a credential allows is nothing that is stored.
    assert body["user"] | {"permissions": []} == api.get("/users/me", token).get_json()
    assert body["factors"] == api.get("/users/me/factors", token).get_json()
    assert body["sessions"] == api.get("/users/me/sessions", token).get_json()
    assert body["api_keys"] == api.get("/users/me/api-keys", token).get_json()
    assert [each["name"] for each in body["api_keys"]["items"]] == ["nightly backup"]
    assert [event["type"] for event in body["activity"]["items"]] == [
        "user.exported",
        "api_key.created",
        "session.started",
        "user.created",
    ]
    assert {event["subject_id"] for event in body["activity"]["items"]} == {str(user.id)}
    assert "argon2" not in str(body)
    assert key not in str(body)
    assert [event.actor_id for event in events_of(app, user, "user.exported")] == [user.id]


def test_an_export_has_the_addresses_that_can_be_restored(
    app: Flask, api: Api, user: User, token: str, time: Time
) -> None:
    since, until = "2026-11-01T10:00:00+00:00", time.now + timedelta(days=2)
    entries = [
        {"email": email, "since": since, "until": end.isoformat(), "was_ever_verified": True}
        for email, end in (("too.late@example.org", time.now), ("before@example.org", until))
    ]
    with app.app_context(), transaction():
        db.session.execute(update(User).where(User.id == user.id).values(previous_emails=entries))

    assert api.get("/users/me/export", token).get_json()["previous_emails"] == [
        {
            "email": "before@example.org",
            "replaced_at": "2026-11-01T10:00:00.000Z",
            "restorable_until": clock.rfc3339(until),
        }
    ]


EXPORTED = {
    *("id", "kind", "username", "email", "email_verified_at", "pending_email", "previous_emails", "status"),
    *("created_at", "updated_at", "last_login_at"),
}
NOT_EXPORTED = {
    # Derived from what is exported.
    *("username_key", "email_key"),
    # A secret, of which the factors tell that there is one.
    "password_hash",
    # When the service did something, of which the events tell.
    *("first_verified_at", "pending_email_until", "sessions_valid_from", "imported_at", "prune_checked_at"),
}


def test_a_new_column_of_accounts_is_exported_or_left_out_for_a_reason(api: Api, token: str) -> None:
    body = api.get("/users/me/export", token).get_json()

    assert {column.key for column in User.__table__.columns} == EXPORTED | NOT_EXPORTED
    assert {*body, *body["user"]} >= EXPORTED


def test_an_export_is_bounded_and_its_cursors_lead_to_the_rest(
    app: Flask, api: Api, user: User, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_exports, "EXPORT_MAX_ITEMS", 2)
    for _ in range(3):
        a_session(app, user)

    body = api.get("/users/me/export", token).get_json()

    for name in ("sessions", "activity"):
        part = body[name]
        assert len(part["items"]) == 2
        rest = api.get(f"/users/me/{name}?cursor={part['next_cursor']}", token).get_json()
        found = [item["id"] for item in part["items"] + rest["items"]]
        assert found == [item["id"] for item in api.get(f"/users/me/{name}", token).get_json()["items"]]


def test_an_export_needs_a_recent_login(api: Api, user: User, token: str, time: Time) -> None:
    time.passes(seconds=301)

    problem(api.get("/users/me/export", token), 401, "step_up_required")
    fresh = api.log_in(user.username, PASSWORD).get_json()["access_token"]
    assert api.get("/users/me/export", fresh).status_code == 200


def test_an_api_key_exports_nothing(app: Flask, api: Api, user: User) -> None:
    problem(api.get("/users/me/export", an_api_key(app, user)), 403, "permission_denied")


def test_exports_are_limited_by_account_and_not_by_address(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconfigured(app, monkeypatch, rate_limits={"export": RateLimit(2, 86_400)})
    ada, grace = (a_session(app, a_user(app)).access_token for _ in range(2))

    answers = [api.get("/users/me/export", token) for token in (ada, ada, grace, ada)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].headers["RateLimit-Policy"] == '"export";q=2;w=86400'
    problem(answers[-1], 429, "too_many_requests")
