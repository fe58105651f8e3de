"""What one client address may ask for, counted in PostgreSQL for all workers together."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from limits.storage import SCHEMES
from sqlalchemy import delete
from werkzeug.test import TestResponse

from authapp import clock, create_app
from authapp.api import limiter
from authapp.config import RateLimit, SettingsError
from authapp.config.environment import EnvironmentReader
from authapp.database.session import db
from authapp.domain.rate_limits import RateLimits
from authapp.domain.services import Services
from authapp.errors import TooManyRequests
from authapp.models import RateLimitCounter
from conftest import dispose, reconfigured
from databases import Databases
from domain.concurrently import at_once
from factories import PASSWORD, Api, a_session, a_user, problem
from settings import settings

NAMES = ["login", "register", "refresh", "password"]
LIMITS = {"rate_limits": dict.fromkeys(NAMES, RateLimit(3, 60))}


@pytest.fixture
def narrow(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    reconfigured(app, monkeypatch, **LIMITS)


def log_in(api: Api, address: str = "192.0.2.1", **headers: str) -> TestResponse:
    body = {"username": "nobody", "password": "wrong password"}
    return api("POST", "/auth/login", json=body, environ_base={"REMOTE_ADDR": address}, headers=headers)


def statuses(api: Api, *addresses: str) -> list[int]:
    return [log_in(api, address).status_code for address in addresses]


@pytest.mark.usefixtures("narrow")
def test_an_address_may_use_its_limit_at_once_and_then_as_much_as_time_brings_back(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    assert statuses(api, *["192.0.2.1"] * 3) == [401] * 3

    refused = log_in(api)
    problem(refused, 429, "too_many_requests")
    assert refused.headers["Retry-After"] == "20"
    assert refused.headers["RateLimit-Policy"] == '"login";q=3;w=60'
    assert refused.headers["RateLimit"] == '"login";r=0;t=20'

    monkeypatch.setattr(clock, "now", lambda: now + timedelta(seconds=19.9))
    assert log_in(api).status_code == 429
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(seconds=20))
    assert statuses(api, *["192.0.2.1"] * 2) == [401, 429]
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(days=30))
    assert statuses(api, *["192.0.2.1"] * 4) == [401, 401, 401, 429]


@pytest.mark.usefixtures("narrow")
def test_each_address_and_each_household_is_counted_by_itself(api: Api) -> None:
    assert statuses(api, *["192.0.2.1"] * 4, "192.0.2.2") == [401, 401, 401, 429, 401]
    household = [f"2001:db8:0:1::{number}" for number in range(1, 5)]
    assert statuses(api, *household, "2001:db8:0:2::1") == [401, 401, 401, 429, 401]


@pytest.mark.usefixtures("narrow")
def test_forwarded_for_does_not_fool_it(api: Api) -> None:
    forged = [log_in(api, **{"X-Forwarded-For": f"198.51.100.{number}"}).status_code for number in range(4)]
    assert forged == [401, 401, 401, 429]


@pytest.mark.committed
def test_behind_a_trusted_proxy_the_entry_that_the_proxy_wrote_counts(databases: Databases) -> None:
    with databases.migrated() as url:
        app = create_app(settings(database_url=url, trusted_proxies=1, **LIMITS))
        api = Api(app.test_client())
        answers = [log_in(api, **{"X-Forwarded-For": f"10.0.0.{n}, 198.51.100.7"}).status_code for n in range(4)]
        assert answers == [401, 401, 401, 429]
        assert log_in(api, **{"X-Forwarded-For": "198.51.100.7, 198.51.100.8"}).status_code == 401
        dispose(app)


Send = Callable[[Flask, Api, str, str], TestResponse]

LIMITED: dict[str, tuple[Send, ...]] = {
    "login": (lambda _, api, *__: log_in(api, "127.0.0.1"),),
    "register": (lambda _, api, *__: api.post("/auth/register", {"username": "x"}),),
    "refresh": (lambda _, api, __, refresh: api.post("/auth/refresh", token=refresh),),
    "password": (
        lambda _, api, access, __: api("PUT", "/users/me/password", access, json={}),
        lambda _, api, access, __: api("DELETE", "/users/me", access, json={"password": "wrong password"}),
    ),
}


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("name", LIMITED)
def test_each_of_the_limited_routes_has_its_own_count(app: Flask, api: Api, name: str) -> None:
    pair = a_session(app, a_user(app))
    sends = [LIMITED[name][number % len(LIMITED[name])] for number in range(4)]
    answers = [send(app, api, pair.access_token, pair.refresh_token) for send in sends]

    assert [answer.status_code == 429 for answer in answers] == [False, False, False, True]
    assert f'"{name}";q=3' in answers[-1].headers["RateLimit-Policy"]
    others = [LIMITED[other][0] for other in NAMES if other != name]
    assert all(send(app, api, pair.access_token, pair.refresh_token).status_code != 429 for send in others)
    assert api.get("/ping", pair.access_token).status_code == 200


@pytest.mark.usefixtures("narrow")
def test_a_request_without_a_token_uses_nobodys_share_up(app: Flask, api: Api) -> None:
    for _ in range(5):
        problem(api.post("/auth/refresh", token="not.a.token"), 401, "token_invalid")
    pair = a_session(app, a_user(app))
    assert api.post("/auth/refresh", token=pair.refresh_token).status_code == 200


@pytest.mark.committed
def test_of_requests_at_the_same_moment_exactly_the_limit_passes(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    # The clock stands still: of requests a millisecond apart the older one may come later, and be the one too many.
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    limits = RateLimits(settings(database_url="", **LIMITS).rate_limit, Services.of(app).fast_path)
    for _ in range(8):
        outcomes = at_once(app, *[lambda: limits.charge("login", "192.0.2.1")] * 8)
        assert [outcome for outcome in outcomes if outcome is None] == [None] * 3
        assert outcomes.count(TooManyRequests) == 5
        with app.app_context():
            db.session.execute(delete(RateLimitCounter))
            db.session.commit()


def general(url: str, **changes: Any) -> Flask:
    return create_app(settings(database_url=url, rate_limit_default=RateLimit(3, 60), **changes))


@pytest.mark.committed
def test_general_limits_count_every_route_once_there_is_a_storage(databases: Databases) -> None:
    with databases.migrated() as url:
        app = general(url, rate_limit_storage="memory://")
        api = Api(app.test_client())
        assert [api.get("/ping").status_code for _ in range(4)] == [401, 401, 401, 429]
        refused = api.get("/ping")
        problem(refused, 429, "too_many_requests")
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert refused.headers["RateLimit-Policy"] == '"route";q=3;w=60'
        assert api.get("/users/me").status_code == 401
        refused = [api.post("/oauth/token", data={}) for _ in range(4)][-1]
        assert (refused.status_code, refused.get_json()["error"]) == (429, "temporarily_unavailable")
        assert refused.headers["RateLimit-Policy"] == '"route";q=3;w=60'
        paths = api.client.get("/openapi.json").get_json()["paths"]
        operations = [each for item in paths.values() for name, each in item.items() if name != "parameters"]
        assert len(operations) > 30
        assert all("RateLimit" in operation["responses"]["429"]["headers"] for operation in operations)
        dispose(app)


def test_a_storage_whose_client_is_not_installed_stops_the_start() -> None:
    with pytest.raises(SettingsError, match="pip install redis") as error:
        general("postgresql+psycopg2://h/d", rate_limit_storage="redis://:secret@cache.example")
    assert "secret" not in str(error.value)


def is_accepted(kind: str, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setenv("AUTHAPP_RATE_LIMIT_STORAGE", f"{kind}://h")
    reader = EnvironmentReader(lambda _: [])
    reader.storage("rate_limit_storage", "")
    return not reader.problems


@pytest.mark.parametrize("kind", sorted(SCHEMES))
def test_no_request_waits_for_a_storage_that_hangs(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limiter.limiter, "init_app", lambda _app: None)
    app, of_this_kind = Flask("notes"), settings(database_url="", rate_limit_storage=f"{kind}://h")
    if not is_accepted(kind, monkeypatch):
        with pytest.raises(SettingsError, match="must be an address such as"):
            limiter.init_app(app, of_this_kind)
        return
    limiter.init_app(app, of_this_kind)
    options = app.config["RATELIMIT_STORAGE_OPTIONS"]
    assert [name for name in options if "timeout" in name.lower()] or kind == "memory"
    if kind.endswith("+sentinel"):
        assert options["sentinel_kwargs"]["socket_timeout"] == options["socket_timeout"]


def test_the_options_of_a_project_come_before_the_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limiter.limiter, "init_app", lambda _app: None)
    app = Flask("notes")
    app.config["RATELIMIT_STORAGE_OPTIONS"] = {"socket_timeout": 0.2}
    limiter.init_app(app, settings(database_url="", rate_limit_storage="redis://h"))
    assert app.config["RATELIMIT_STORAGE_OPTIONS"] == {"socket_connect_timeout": 1, "socket_timeout": 0.2}


def test_without_a_storage_there_is_no_general_limit(api: Api) -> None:
    assert {api.get("/ping").status_code for _ in range(1300)} == {401}


def test_a_wrong_password_is_no_way_around_the_limit_of_the_account(app: Flask, api: Api) -> None:
    user = a_user(app)
    token = a_session(app, user).access_token
    body = {"current_password": "wrong password", "new_password": "another long sentence"}
    answers = [api("PUT", "/users/me/password", token, json=body).status_code for _ in range(11)]
    assert answers == [403] * 10 + [429]
    # The end of the account asks for the same password, and is no second count of guesses.
    problem(api("DELETE", "/users/me", token, json={"password": PASSWORD}), 429, "too_many_requests")
    assert api.get("/ping", token).status_code == 200
