"""GET /users/me/export."""

import pytest
from flask import Flask

from authapp.domain.users import exports
from authapp.models import User
from clocks import Time
from factories import PASSWORD, Api, a_session, a_user, events_of, problem


def test_an_export_has_the_account_its_factors_sessions_and_events(
    app: Flask, api: Api, user: User, token: str
) -> None:
    a_session(app, a_user(app))

    body = api.get("/users/me/export", token).get_json()

    assert list(body) == ["user", "factors", "sessions", "activity"]
    assert body["user"] == api.get("/users/me", token).get_json()
    assert body["factors"] == api.get("/users/me/factors", token).get_json()
    assert body["sessions"] == api.get("/users/me/sessions", token).get_json()
    assert [event["type"] for event in body["activity"]["items"]] == [
        "user.exported",
        "session.started",
        "user.created",
    ]
    assert {event["subject_id"] for event in body["activity"]["items"]} == {str(user.id)}
    assert "argon2" not in str(body)
    assert [event.actor_id for event in events_of(app, user, "user.exported")] == [user.id]


def test_an_export_is_bounded_and_its_cursors_lead_to_the_rest(
    app: Flask, api: Api, user: User, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "ITEMS", 2)
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
