"""CORS: what a page of another origin may read, and that no other page may."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from authapp import request_headers, response_headers
from authapp.api.cors import AllowedOrigins
from authapp.domain.rate_limits import RateLimits
from authapp.domain.services import Services
from conftest import created, rolled_back
from databases import Databases
from factories import Api, a_session, a_user, problem

APP, OTHER = "https://app.example.com", "https://admin.example.com:8443"
ASKED = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-authapp-cookie"}
EXPOSED = {"WWW-Authenticate", "Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-ID", "Location"}
METADATA = ["/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"]


@pytest.fixture(scope="module")
def listing(databases: Databases) -> Iterator[Flask]:
    yield from created(databases, cors_origins=(APP, OTHER), rate_limit_storage="memory://")


@pytest.fixture
def app(listing: Flask) -> Iterator[Flask]:
    with rolled_back(listing):
        yield listing


def cors(response: TestResponse) -> dict[str, str]:
    return {name: value for name, value in response.headers if name.startswith("Access-Control-")}


def preflight(api: Api, path: str, origin: str = APP, **headers: str) -> TestResponse:
    return api.client.options(path, headers={"Origin": origin, **ASKED, **headers})


@pytest.mark.parametrize("origin", [APP, OTHER])
@pytest.mark.parametrize(
    ("path", "options", "status"),
    [
        ("/api/v1/auth/login", {"json": {"username": "nobody", "password": "wrong"}}, 401),
        ("/api/v1/nowhere", {}, 404),
        ("//api/v1/auth/login", {}, 404),
        ("/api/v1/ping", {}, 405),
        ("/api/v1/auth/login", {"data": b"x" * 70_000, "content_type": "application/json"}, 413),
        ("/api/v1/auth/login", {"data": b"{", "content_type": "application/json"}, 400),
    ],
    ids=["401", "404", "404 for two slashes", "405", "413", "400"],
)
def test_a_listed_origin_reads_whatever_is_answered(
    api: Api, origin: str, path: str, options: dict[str, Any], status: int
) -> None:
    response = api.client.post(path, headers={"Origin": origin}, **options)
    assert response.status_code == status
    exposed = set(response.headers["Access-Control-Expose-Headers"].split(", "))
    assert response.headers["Access-Control-Allow-Origin"] == origin
    assert response.headers["Access-Control-Allow-Credentials"] == "true"
    assert exposed == EXPOSED
    assert response.headers.getlist("Vary") == ["Origin"]


def test_it_reads_that_the_database_is_away(app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_away(*_: object) -> None:
        raise OperationalError("", {}, Exception())

    token = a_session(app, a_user(app)).access_token
    monkeypatch.setattr(Services.of(app).fast_path, "read", is_away)
    response = api.get("/ping", token, headers={"Origin": APP})
    problem(response, 503, "service_unavailable")
    assert response.headers["Access-Control-Allow-Origin"] == APP


HOSTILE = [
    *("null", "", "*", "https://evil.example", "https://app.example.com.evil.example", "https://evilapp.example.com"),
    *("https://example.com", "https://x.app.example.com", "http://app.example.com", "https://app.example.com:8443"),
    *("https://app.example.com:443", "https://app.example.com.", "https://app.example.com/", "https://APP.example.com"),
    *(f"{APP},{APP}", f"{APP}, {OTHER}", f"{APP} {OTHER}", "https://admin.example.com", "app.example.com"),
    *("https://appXexample.com", f"{APP}\t", "file://", "https://app.example.com@evil.example"),
]


@pytest.mark.parametrize("origin", HOSTILE)
def test_an_origin_that_is_not_listed_gets_nothing(api: Api, origin: str) -> None:
    for response in (
        api.client.get("/api/v1/ping", environ_overrides={"HTTP_ORIGIN": origin}),
        api.client.options("/api/v1/ping", headers=ASKED, environ_overrides={"HTTP_ORIGIN": origin}),
        api.client.options("/api/v1/nowhere", headers=ASKED, environ_overrides={"HTTP_ORIGIN": origin}),
    ):
        assert cors(response) == {}
        assert response.headers["Vary"] == "Origin"


def test_a_client_that_is_no_browser_is_told_only_that_answers_vary(api: Api) -> None:
    response = api.client.get("/api/v1/ping")
    assert cors(response) == {}
    assert response.headers["Vary"] == "Origin"


@pytest.mark.parametrize("path", ["/api/v1/ping", "/api/v1/auth/refresh", "/api/v1/users/me", "/api/v1/nowhere"])
def test_a_preflight_needs_no_token(api: Api, path: str) -> None:
    response = preflight(api, path)
    assert response.status_code == 204
    assert response.headers["Access-Control-Allow-Origin"] == APP
    assert response.headers["Access-Control-Allow-Credentials"] == "true"
    assert response.headers["Access-Control-Max-Age"] == "7200"
    methods = set(response.headers["Access-Control-Allow-Methods"].split(", "))
    assert methods >= {"POST", "PUT", "PATCH", "DELETE"}
    allowed = {name.lower() for name in response.headers["Access-Control-Allow-Headers"].split(", ")}
    # Those of a trace, too, whether this server traces or not: a page that does would lose all its calls.
    assert allowed == {
        *("authorization", "content-type", "x-request-id", "x-authapp-cookie"),
        *("traceparent", "tracestate"),
    }
    assert "Access-Control-Expose-Headers" not in response.headers


def test_a_project_adds_headers_that_pages_may_send(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authapp.api.cors.request_headers", [*request_headers, "X-Tenant"])
    headers = dict(AllowedOrigins([APP]).headers(APP, preflight=True))
    assert headers["Access-Control-Allow-Headers"].endswith(", X-Tenant")


def test_a_project_adds_headers_that_pages_may_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authapp.api.cors.response_headers", [*response_headers, "X-Total"])
    headers = dict(AllowedOrigins([APP]).headers(APP))
    assert headers["Access-Control-Expose-Headers"].endswith(", X-Total")


def test_a_preflight_asks_no_database_and_counts_for_no_limit(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise AssertionError("a preflight has got this far")

    monkeypatch.setattr(RateLimits, "charge", fails)
    monkeypatch.setattr(Services.of(app).fast_path, "read", fails)
    for _ in range(1201):
        response = preflight(api, "/api/v1/auth/login", Authorization="Bearer x")
    assert response.status_code == 204


@pytest.mark.parametrize("path", ["/api/v1/auth/verify", "/api/v1/auth/verify/orders"])
def test_a_proxy_does_not_take_the_answer_to_a_preflight_for_a_yes(api: Api, path: str) -> None:
    response = preflight(api, path)
    assert response.status_code == 401
    assert response.headers["Access-Control-Allow-Origin"] == APP


@pytest.mark.parametrize("path", METADATA)
@pytest.mark.parametrize("origin", [APP, "https://evil.example", "null"])
def test_every_page_reads_the_keys_and_the_metadata(api: Api, path: str, origin: str) -> None:
    response = api.client.get(path, headers={"Origin": origin})
    assert response.headers.getlist("Access-Control-Allow-Origin") == ["*"]
    assert "Access-Control-Allow-Credentials" not in response.headers
    asked = preflight(api, path, origin)
    assert (asked.status_code, asked.headers.getlist("Access-Control-Allow-Origin")) == (204, ["*"])
    assert asked.headers.getlist("Access-Control-Allow-Headers") == ["*"]


def test_without_a_list_nothing_is_added(shared_app: Flask) -> None:
    with rolled_back(shared_app):
        client = shared_app.test_client()
        for path in ("/api/v1/ping", "/api/v1/nowhere"):
            for response in (client.get(path, headers={"Origin": APP}), preflight(Api(client), path)):
                assert cors(response) == {}
                assert "Vary" not in response.headers
        assert preflight(Api(client), "/api/v1/nowhere").status_code == 404
        assert client.get(METADATA[0]).headers["Access-Control-Allow-Origin"] == "*"


def test_without_an_origin_nothing_is_computed() -> None:
    class Unread(dict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            raise AssertionError(key)

    headers = [("Content-Type", "text/plain")]
    AllowedOrigins([APP]).add_to(headers, Unread())
    assert headers == [("Content-Type", "text/plain"), ("Vary", "Origin")]
