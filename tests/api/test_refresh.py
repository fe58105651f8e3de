"""POST /auth/refresh: rotation, and what becomes of a token that was rotated away."""

from datetime import timedelta

import jwt
import pytest
from flask import Flask
from sqlalchemy import select

from authapp import clock
from authapp.database.session import db
from authapp.domain.services import Services
from authapp.models import AuditEvent
from conftest import reconfigured
from factories import Api, a_session, a_user, problem


def claims(token: str) -> dict[str, object]:
    decoded: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    return decoded


def later(monkeypatch: pytest.MonkeyPatch, **delta: float) -> None:
    then = clock.now() + timedelta(**delta)
    monkeypatch.setattr(clock, "now", lambda: then)


@pytest.mark.parametrize("where", ["header", "body"])
def test_a_refresh_token_is_exchanged_for_a_new_pair(app: Flask, api: Api, where: str) -> None:
    old = a_session(app, a_user(app))
    if where == "header":
        response = api.post("/auth/refresh", token=old.refresh_token)
    else:
        response = api.post("/auth/refresh", {"refresh_token": old.refresh_token})
    new = response.get_json()
    assert response.status_code == 200
    assert claims(new["refresh_token"])["jti"] != claims(old.refresh_token)["jti"]
    assert claims(new["refresh_token"])["sid"] == claims(old.refresh_token)["sid"]
    assert claims(new["access_token"])["fresh"] is False
    assert api.get("/ping", new["access_token"]).status_code == 200


def test_no_token_at_all_is_token_missing(api: Api) -> None:
    problem(api.post("/auth/refresh"), 401, "token_missing")
    problem(api.post("/auth/refresh", {}), 401, "token_missing")


@pytest.mark.parametrize("kind", ["live", "revoked", "expired", "damaged", "two", "another scheme", "no scheme"])
def test_a_token_in_the_body_counts_whatever_the_header_holds(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    user = a_user(app)
    other, pair = a_session(app, user), a_session(app, user)
    if kind == "revoked":
        api.post("/auth/logout", token=other.access_token)
    if kind == "expired":
        later(monkeypatch, minutes=16)
    header = {
        "damaged": "Bearer damaged",
        "two": f"Bearer {other.access_token} {other.access_token}",
        "another scheme": "Basic YTpi",
        "no scheme": "\N{LATIN SMALL LETTER E WITH ACUTE}",
    }.get(kind, f"Bearer {other.access_token}")

    response = api.post("/auth/refresh", {"refresh_token": pair.refresh_token}, headers={"Authorization": header})

    assert response.status_code == 200
    assert claims(response.get_json()["access_token"])["sid"] == claims(pair.access_token)["sid"]


def test_a_bad_token_in_the_body_is_not_replaced_by_a_good_one_in_the_header(app: Flask, api: Api) -> None:
    pair = a_session(app, a_user(app))
    problem(api.post("/auth/refresh", {"refresh_token": "x"}, token=pair.refresh_token), 401, "token_invalid")
    assert api.post("/auth/refresh", {}, token=pair.refresh_token).status_code == 200


def test_the_body_is_read_as_strictly_as_every_other(api: Api) -> None:
    problem(api.post("/auth/refresh", {"refresh_token": 7}), 422, "validation_failed")
    problem(api.post("/auth/refresh", {"token": "x"}), 422, "validation_failed")
    problem(api.post("/auth/refresh", data=b"{", content_type="application/json"), 400, "malformed_request")
    problem(api.post("/auth/refresh", data=b"x=1"), 415, "unsupported_media_type")
    problem(api.post("/auth/refresh", {"refresh_token": ""}), 401, "token_invalid")


def same_for_both(first: dict[str, str], again: dict[str, str]) -> bool:
    """Return whether two answers hand out the same refresh token; its signature may differ from time to time."""
    return claims(first["refresh_token"]) == claims(again["refresh_token"])


@pytest.mark.parametrize("after", [0, 9, 12, 3_600, 86_399])
def test_whoever_lost_the_answer_gets_the_same_successor_while_it_is_unused(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    old = a_session(app, a_user(app)).refresh_token
    first = api.post("/auth/refresh", token=old).get_json()
    later(monkeypatch, seconds=after)
    again, third = (api.post("/auth/refresh", token=old).get_json() for _ in range(2))
    assert same_for_both(first, again)
    assert same_for_both(first, third)
    assert api.get("/ping", again["access_token"]).status_code == 200
    with app.app_context():
        introspected = Services.of(app).introspection.introspect(old)
    assert introspected is not None
    assert api.post("/auth/refresh", token=first["refresh_token"]).status_code == 200


def test_a_token_that_is_sent_again_is_recorded_as_that(app: Flask, api: Api) -> None:
    pair = a_session(app, a_user(app))
    for _ in range(2):
        assert api.post("/auth/refresh", token=pair.refresh_token).status_code == 200
    with app.app_context():
        refreshed = select(AuditEvent.details).where(AuditEvent.type == "session.refreshed")
        found = db.session.scalars(refreshed.order_by(AuditEvent.occurred_at)).all()
    assert found == [{}, {"repeated": True}]


@pytest.mark.parametrize("after", [0, 12, 600])
def test_a_token_whose_successor_has_been_exchanged_ends_the_session(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    old = a_session(app, a_user(app)).refresh_token
    successor = api.post("/auth/refresh", token=old).get_json()
    later(monkeypatch, seconds=after)
    assert same_for_both(successor, api.post("/auth/refresh", token=old).get_json())
    last = api.post("/auth/refresh", token=successor["refresh_token"]).get_json()
    problem(api.post("/auth/refresh", token=old), 401, "refresh_token_reused")
    for pair in (successor, last):
        problem(api.get("/ping", pair["access_token"]), 401, "token_revoked")
        problem(api.post("/auth/refresh", token=pair["refresh_token"]), 401, "token_revoked")


@pytest.mark.parametrize(("grace", "retry", "answered_for"), [(10, 0, 10), (0, 60, 60), (10, 60, 60), (0, 0, 0)])
def test_the_longer_of_the_two_times_counts(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch, grace: int, retry: int, answered_for: int
) -> None:
    reconfigured(app, monkeypatch, refresh_grace=grace, refresh_retry=retry)
    old = a_session(app, a_user(app)).refresh_token
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    api.post("/auth/refresh", token=old)
    if answered_for:
        later(monkeypatch, seconds=answered_for - 0.001)
        assert api.post("/auth/refresh", token=old).status_code == 200
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(seconds=answered_for))
    problem(api.post("/auth/refresh", token=old), 401, "refresh_token_reused")


def test_a_token_sent_again_a_day_later_ends_the_session_alone(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = a_user(app)
    other = a_session(app, user)
    old = a_session(app, user).refresh_token
    api.post("/auth/refresh", token=old).get_json()
    later(monkeypatch, days=1)

    response = api.post("/auth/refresh", token=old)

    problem(response, 401, "refresh_token_reused")
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]
    assert api.post("/auth/refresh", token=other.refresh_token).status_code == 200


def test_a_token_two_generations_old_is_reuse_even_within_the_grace(app: Flask, api: Api) -> None:
    oldest = a_session(app, a_user(app)).refresh_token
    second = api.post("/auth/refresh", token=oldest).get_json()
    third = api.post("/auth/refresh", token=second["refresh_token"]).get_json()
    problem(api.post("/auth/refresh", token=oldest), 401, "refresh_token_reused")
    problem(api.get("/ping", third["access_token"]), 401, "token_revoked")


def test_a_session_cannot_outlive_its_absolute_lifetime(app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = a_session(app, a_user(app))
    refresh_token = pair.refresh_token
    for _ in range(3):
        later(monkeypatch, days=29)
        refreshed = api.post("/auth/refresh", token=refresh_token).get_json()
        refresh_token = refreshed["refresh_token"]
    assert refreshed["refresh_expires_in"] == 3 * 86_400
    later(monkeypatch, days=3, seconds=-60)
    last = api.post("/auth/refresh", token=refresh_token).get_json()
    assert (last["expires_in"], last["refresh_expires_in"]) == (60, 60)
    later(monkeypatch, seconds=66)
    problem(api.post("/auth/refresh", token=last["refresh_token"]), 401, "token_expired")
    problem(api.get("/ping", last["access_token"]), 401, "token_expired")


def test_an_expired_refresh_token_is_answered_as_expired(app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = a_session(app, a_user(app))
    later(monkeypatch, days=30, seconds=6)
    problem(api.post("/auth/refresh", token=pair.refresh_token), 401, "token_expired")
