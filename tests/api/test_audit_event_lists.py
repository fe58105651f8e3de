"""The audit trail as it is read: by administrators, and by users."""

from datetime import timedelta, timezone
from typing import Any

import pytest
from flask import Flask

from audit_scenes import Scene, events
from authapp import clock
from authapp.domain.audit import EventType
from cli.invoking import flask_users, succeeded
from factories import Api, a_session, a_user, problem


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
