"""What the headers of trusted proxies change, and what they must not."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import EnvironBuilder, TestResponse, run_wsgi_app

from authapp import create_app
from authapp.api.trusted_proxies import TrustedProxies
from authapp.config import RateLimit
from authapp.database.session import db
from authapp.models import AuditEvent, RateLimitCounter, Session
from conftest import dispose
from databases import Databases
from factories import API, PASSWORD, Api, a_session, a_user, problem
from settings import settings

PEER = "10.0.0.1"


def environ_after(hops: int, **headers: str) -> dict[str, Any]:
    """Return the WSGI environment that the application behind ``TrustedProxies`` gets."""
    seen: dict[str, Any] = {}

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.update(environ)
        start_response("204 No Content", [])
        return []

    sent = {f"X-Forwarded-{name}": value for name, value in headers.items()}
    environ = EnvironBuilder(headers=sent, environ_base={"REMOTE_ADDR": PEER}).get_environ()
    run_wsgi_app(TrustedProxies(application, hops), environ)
    return seen


@pytest.mark.parametrize(
    ("hops", "forwarded", "address"),
    [
        (0, "203.0.113.5", PEER),
        (1, "203.0.113.5:50001", "203.0.113.5"),
        (1, "198.51.100.7, [2001:db8::1]:80", "2001:db8::1"),
        (2, "198.51.100.7, 203.0.113.5:1, 10.0.0.2", "203.0.113.5"),
        (2, "203.0.113.5", PEER),  # fewer entries than proxies: none of them is to be trusted
        (1, "203.0.113.5, unknown", ""),
        (1, "203.0.113.5,", ""),
        (1, '"203.0.113.5, 198.51.100.7', "198.51.100.7"),  # an open quotation mark swallows nothing
    ],
)
def test_the_address_is_the_entry_of_the_outermost_trusted_proxy(hops: int, forwarded: str, address: str) -> None:
    assert environ_after(hops, For=forwarded)["REMOTE_ADDR"] == address


def test_scheme_and_host_come_from_the_proxy_as_well() -> None:
    environ = environ_after(1, Proto="https", Host="auth.example.com")
    assert (environ["wsgi.url_scheme"], environ["HTTP_HOST"]) == ("https", "auth.example.com")


@pytest.mark.parametrize(
    ("hops", "forwarded", "prefix"),
    [
        (0, "/auth", ""),
        (1, "/auth", "/auth"),
        (1, "/auth/", "/auth"),
        (1, "/evil, /a/b-c_d.e~f", "/a/b-c_d.e~f"),
        (2, "/outer, /inner", "/outer"),
        (2, "/auth", ""),
        *((1, bad, "") for bad in ("", "/", "//evil.example", "auth", "http://evil.example", "/a//b", "/a/../b", "/.")),
        *((1, bad, "") for bad in ("/a?b", "/a#b", "/a b", "/<x>", '/"', "/%2f", "/\xe9", "/a\\b", "/" + "a" * 128)),
    ],
)
def test_a_prefix_is_a_plain_path_or_none(hops: int, forwarded: str, prefix: str) -> None:
    assert environ_after(hops, Prefix=forwarded)["SCRIPT_NAME"] == prefix


@pytest.fixture
def proxied(databases: Databases) -> Iterator[Flask]:
    """An application behind one proxy, with narrow limits."""
    limits = {"rate_limits": {"login": RateLimit(2, 60)}, "rate_limit_storage": "memory://"}
    with databases.migrated() as url:
        app = create_app(settings(database_url=url, trusted_proxies=1, rate_limit_default=RateLimit(3, 60), **limits))
        yield app
        dispose(app)


def log_in(app: Flask, forwarded: str, password: str = PASSWORD, **headers: str) -> TestResponse:
    return Api(app.test_client()).post(
        "/auth/login",
        {"username": "ada", "password": password},
        headers={"X-Forwarded-For": forwarded, **headers},
        environ_base={"REMOTE_ADDR": PEER},
    )


def stored(app: Flask, column: Any) -> set[str | None]:
    with app.app_context():
        return set(db.session.scalars(select(column)))


def test_one_client_is_one_bucket_whatever_its_port(proxied: Flask) -> None:
    a_user(proxied, "ada")
    answers = [log_in(proxied, f"203.0.113.5:{port}").status_code for port in (50001, 50002, 50003)]
    assert answers == [200, 200, 429]
    assert log_in(proxied, "203.0.113.6:50001").status_code == 200
    assert stored(proxied, RateLimitCounter.counted_key) == {"203.0.113.5", "203.0.113.6"}
    assert stored(proxied, Session.ip_address) == {"203.0.113.5", "203.0.113.6"}
    events = select(AuditEvent.ip_address).where(AuditEvent.type == "session.started")
    with proxied.app_context():
        assert set(db.session.scalars(events)) == {"203.0.113.5", "203.0.113.6"}


def test_what_is_no_address_is_counted_as_the_proxys_and_not_stored(proxied: Flask) -> None:
    a_user(proxied, "ada")
    answers = [log_in(proxied, f"junk{number}").status_code for number in range(3)]
    assert answers == [200, 200, 429], "inventing names opens no new buckets"
    assert stored(proxied, RateLimitCounter.counted_key) == {PEER}
    assert stored(proxied, Session.ip_address) == {None}


def test_the_general_limit_counts_the_same_addresses(proxied: Flask) -> None:
    def asked(forwarded: str) -> int:
        headers = {"X-Forwarded-For": forwarded}
        client = proxied.test_client()
        return client.get("/health/live", headers=headers, environ_base={"REMOTE_ADDR": PEER}).status_code

    assert [asked(f"[2001:db8::1]:{port}") for port in range(5000, 5004)] == [200, 200, 200, 429]
    assert [asked(f"junk{number}") for number in range(4)] == [200, 200, 200, 429]


def test_behind_a_path_prefix_every_link_has_the_prefix(proxied: Flask) -> None:
    headers = {"X-Forwarded-Prefix": "/accounts/v2"}
    client = proxied.test_client()
    body = {"username": "grace", "email": "grace@example.com", "password": PASSWORD}
    created = client.post(f"{API}/auth/register", json=body, headers=headers)
    assert created.headers["Location"] == f"/accounts/v2{API}/users/{created.json['id']}"

    refused = client.get(f"{API}/ping", headers=headers).get_json()
    assert refused["type"] == "/accounts/v2/problems/token_missing"
    assert refused["instance"] == f"/accounts/v2{API}/ping"
    explained = client.get("/problems/token_missing", headers=headers).get_json()
    assert explained["type"] == "/accounts/v2/problems/token_missing"

    document = client.get("/openapi.json", headers=headers).get_json()
    assert document["servers"] == [{"url": "/accounts/v2"}]
    plain = client.get("/openapi.json").get_json()
    assert plain["servers"] == [{"url": "/"}]
    assert document | {"servers": []} == plain | {"servers": []}


def test_no_shared_cache_keeps_the_document_of_one_prefix_for_another(proxied: Flask) -> None:
    client = proxied.test_client()
    paths = ("/openapi.json", "/docs", "/.well-known/jwks.json", "/.well-known/oauth-authorization-server")
    for path in paths:
        below = client.get(path, headers={"X-Forwarded-Prefix": "/accounts"})
        plain = client.get(path)
        differs = below.data != plain.data
        assert differs is (path == "/openapi.json")
        assert ("private" in below.headers["Cache-Control"]) is differs
        assert all(("X-Forwarded-Prefix" in each.headers.get("Vary", "")) is differs for each in (below, plain))
        assert plain.headers["Cache-Control"] == "public, max-age=300"


def test_an_administrators_location_has_the_prefix_too(proxied: Flask) -> None:
    token = a_session(proxied, a_user(proxied, roles=["admin"])).access_token
    body = {"username": "grace", "email": "grace@example.com", "password": PASSWORD}
    created = Api(proxied.test_client()).post("/users", body, token, headers={"X-Forwarded-Prefix": "/accounts"})
    assert created.headers["Location"] == f"/accounts{API}/users/{created.json['id']}"


def test_a_prefix_from_nobody_trusted_changes_nothing(api: Api) -> None:
    body = problem(api.get("/ping", headers={"X-Forwarded-Prefix": "/evil"}), 401, "token_missing")
    assert body["instance"] == f"{API}/ping"


@pytest.mark.parametrize(
    ("sent", "stored_as"),
    [
        ("Müller/1.0".encode(), "Müller/1.0"),
        ("Мюллер 漢字".encode(), "Мюллер 漢字"),
        (b"M\xfcller", "M\ufffdller"),
        (b"curl/8", "curl/8"),
        ("ä".encode() * 300, "ä" * 256),
    ],
)
def test_a_user_agent_is_read_as_utf_8(app: Flask, api: Api, sent: bytes, stored_as: str) -> None:
    a_user(app, "ada")
    answer = api.post(
        "/auth/login",
        {"username": "ada", "password": PASSWORD},
        environ_base={"HTTP_USER_AGENT": sent.decode("latin-1")},
    )
    sessions = api.get("/users/me/sessions", answer.get_json()["access_token"]).get_json()["items"]
    assert [session["user_agent"] for session in sessions] == [stored_as]
    assert stored_as in stored(app, AuditEvent.user_agent)
