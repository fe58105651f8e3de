"""When a key was last used, and how much it may be used."""

from datetime import timedelta
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from authapp import AuthApp, clock
from authapp.config import RateLimit
from authapp.database.session import db
from authapp.domain.api_keys import last_seen_keys, usage
from authapp.domain.api_keys.last_seen_keys import LastSeenKeys
from authapp.domain.services import Services
from authapp.models import ApiKey, User
from authapp.security import api_keys
from clocks import Time
from conftest import reconfigured
from factories import (
    Api,
    an_api_key,
    api_key_row,
    key_token,
    problem,
)


def test_a_use_is_stored_once_a_minute_and_by_no_request(app: Flask, api: Api, user: User, time: Time) -> None:
    key, used = an_api_key(app, user), Services.of(app).used_api_keys
    used.take()
    first = time.now
    for _ in range(3):
        api.get("/ping", key)
    assert api_key_row(app, key).last_used_at is None
    with app.app_context():
        usage.store_last_uses(used.take())
    assert api_key_row(app, key).last_used_at == first
    assert used.take() == {}
    for seconds, expected in ((59, first), (2, first + timedelta(seconds=61))):
        time.passes(seconds=seconds)
        api.get("/ping", key)
        with app.app_context():
            usage.store_last_uses(used.take())
            db.session.expire_all()
        assert api_key_row(app, key).last_used_at == expected


def test_uses_that_could_not_be_stored_are_stored_later_unless_there_are_newer_ones(
    app: Flask, user: User, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (api_keys.parse(an_api_key(app, user)).key_id for _ in range(2))
    used, before = LastSeenKeys(), time.now
    for key_id in (first, second):
        used.add(user.id, key_id, before)
    writer = usage.ApiKeyUsage(used, app.app_context)

    def down(_seen: object) -> None:
        used.add(user.id, second, before + timedelta(seconds=5))  # by a request that was served meanwhile
        raise OperationalError("", {}, Exception())

    with monkeypatch.context() as broken:
        broken.setattr(usage, "store_last_uses", down)
        with pytest.raises(OperationalError):
            writer._flush()
    writer._flush()

    assert used.take() == {}
    with app.app_context():
        rows = db.session.execute(select(ApiKey.id, ApiKey.last_used_at)).all()
    assert dict(map(tuple, rows)) == {first: before, second: before + timedelta(seconds=5)}


def test_the_memory_of_uses_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_seen_keys, "MAX_KEYS", 2)
    used, keys = LastSeenKeys(), [(uuid4(), uuid4()) for _ in range(3)]
    for ids in keys[:2]:
        used.add(*ids, clock.now())
    taken = used.take()
    used.add(*keys[2], clock.now())

    used.put_back(taken)

    assert list(used.take()) == keys[1:]


def test_uses_of_keys_that_are_gone_are_forgotten(app: Flask, user: User) -> None:
    with app.app_context():
        usage.store_last_uses({(user.id, uuid4()): clock.now(), (uuid4(), uuid4()): clock.now()})


def test_each_key_may_have_a_limit(app: Flask, api: Api, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = an_api_key(app, user), an_api_key(app, user)
    reconfigured(app, monkeypatch, rate_limits={"api_key": RateLimit(2, 60)})
    assert [api.get("/ping", first).status_code for _ in range(3)] == [200, 200, 429]
    refused = api.get("/ping", first)
    problem(refused, 429, "too_many_requests")
    assert refused.headers["RateLimit-Policy"] == '"api_key";q=2;w=60'
    assert api.get("/ping", second).status_code == 200


@pytest.mark.parametrize(("limit", "is_documented"), [(RateLimit(2, 60), True), (None, False)])
def test_the_document_has_the_limit_on_every_route_that_takes_a_key(
    app: Flask, monkeypatch: pytest.MonkeyPatch, limit: RateLimit | None, *, is_documented: bool
) -> None:
    reconfigured(app, monkeypatch, rate_limits={"api_key": limit})
    monkeypatch.setattr(AuthApp.of(app).openapi, "_json", None)
    paths = app.test_client().get("/openapi.json").get_json()["paths"]
    answers = paths["/api/v1/ping"]["get"]["responses"]
    assert ("429" in answers) is is_documented
    if is_documented:
        assert "too_many_requests" in answers["429"]["content"]["application/problem+json"]["examples"]
        assert "Retry-After" in answers["429"]["headers"]
    assert "429" not in paths["/health/live"]["get"]["responses"]


def test_a_token_that_was_issued_for_a_key_counts_as_the_key(
    app: Flask, api: Api, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = an_api_key(app, user)
    reconfigured(app, monkeypatch, rate_limits={"api_key": RateLimit(3, 60)})
    token = key_token(api, key)
    assert [api.get("/ping", each).status_code for each in (token, key, token, key)] == [200, 200, 429, 429]
