"""The real server behind one proxy: bytes as load balancers, gateways and other people's clients send them."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from databases import Databases
from e2e.processes import Server, environment, serving
from factories import PASSWORD


@pytest.fixture(scope="module")
def server(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("proxied")
    with databases.migrated() as url:
        variables = environment(url, AUTHAPP_TRUSTED_PROXIES="1", AUTHAPP_RATE_LIMIT_LOGIN="4/minute")
        with serving(folder, variables) as running:
            running.call("POST", "/api/v1/auth/register", json=ACCOUNT).raise_for_status()
            yield running


ACCOUNT = {"username": "ada", "email": "ada@example.com", "password": PASSWORD}
LOGIN = json.dumps({"username": "ada", "password": PASSWORD}).encode()


def send(server: Server, request: str, *headers: bytes, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of the answer to a request line with these headers."""
    head = [request.encode() + b" HTTP/1.1", b"Host: x", b"Connection: close", *headers]
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"\r\n".join(head) + b"\r\n\r\n" + body)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    top, _, rest = received.partition(b"\r\n\r\n")
    status, *lines = top.decode("latin-1").split("\r\n")
    return int(status.split()[1]), dict(line.split(": ", 1) for line in lines), rest


def log_in(server: Server, *headers: bytes) -> tuple[int, dict[str, Any]]:
    framing = (b"Content-Type: application/json", b"Content-Length: %d" % len(LOGIN))
    status, _, body = send(server, "POST /api/v1/auth/login", *framing, *headers, body=LOGIN)
    return status, json.loads(body)


@pytest.fixture(scope="module")
def pair(server: Server) -> dict[str, Any]:
    status, body = log_in(server, b"X-Forwarded-For: 198.51.100.1")
    assert status == 200, body
    return body


def bearer(token: str) -> bytes:
    return b"Authorization: Bearer " + token.encode()


def test_the_ports_of_a_client_share_one_count_and_none_is_stored(server: Server) -> None:
    tries = [log_in(server, b"X-Forwarded-For: 203.0.113.5:%d" % port)[0] for port in range(50001, 50006)]
    assert tries == [200, 200, 200, 200, 429]
    tries = [log_in(server, b"X-Forwarded-For: [2001:db8::%d]:443" % host)[0] for host in range(1, 6)]
    assert tries == [200, 200, 200, 200, 429], "one household"
    tries = [log_in(server, b"X-Forwarded-For: junk%d" % number)[0] for number in range(5)]
    assert tries == [200, 200, 200, 200, 429], "counted as the proxy's"

    engine = create_engine(server.database_url)
    with engine.connect() as connection:
        stored = set(connection.scalars(text("SELECT ip_address FROM sessions")))
        counted = set(connection.scalars(text("SELECT address FROM address_limits")))
    engine.dispose()
    assert {"203.0.113.5", "2001:db8::1", None} <= stored
    assert {"203.0.113.5", "2001:db8::/64", "127.0.0.1"} <= counted
    assert not [address for address in (stored | counted) if address and ("junk" in address or "50001" in address)]


def test_the_log_has_the_same_address_and_the_user_agent_in_utf_8(server: Server) -> None:
    status, _, _ = send(
        server,
        "GET /health/live",
        b"X-Forwarded-For: [64:ff9b::192.0.2.77]:443",
        "User-Agent: Müller/1.0 漢字".encode(),
    )
    assert status == 200
    lines = [json.loads(line) for line in server.log.splitlines() if "192.0.2.77" in line]
    assert [(line["remote_address"], line["user_agent"]) for line in lines] == [("192.0.2.77", "Müller/1.0 漢字")]


def test_a_path_prefix_of_the_proxy_is_in_links(server: Server) -> None:
    status, _, body = send(server, "GET /api/v1/ping", b"X-Forwarded-Prefix: /accounts")
    refused = json.loads(body)
    assert (status, refused["instance"], refused["type"]) == (
        401,
        "/accounts/api/v1/ping",
        "/accounts/problems/token_missing",
    )
    _, _, body = send(server, "GET /openapi.json", b"X-Forwarded-Prefix: /accounts")
    assert json.loads(body)["servers"] == [{"url": "/accounts"}]


@pytest.mark.parametrize("path", ["//api/v1/ping", "///api/v1/ping", "/%2Fapi/v1/ping", "http://x//api/v1/ping"])
def test_more_than_one_leading_slash_reaches_no_view(server: Server, pair: dict[str, Any], path: str) -> None:
    status, _, body = send(server, f"GET {path}", bearer(pair["access_token"]))
    assert (status, json.loads(body)["code"]) == (404, "not_found")


def test_an_empty_chunked_body_is_no_body(server: Server, pair: dict[str, Any]) -> None:
    chunked = b"Transfer-Encoding: chunked"
    request = "POST /api/v1/auth/refresh"
    status, _, body = send(server, request, bearer(pair["refresh_token"]), chunked, body=b"0\r\n\r\n")
    assert status == 200, body
    status, _, body = send(server, request, chunked, body=b"0\r\n\r\n")
    assert (status, json.loads(body)["code"]) == (401, "token_missing")
    client = b"X-Forwarded-For: 198.51.100.2"
    status, _, body = send(server, "POST /api/v1/auth/login", chunked, client, body=b"0\r\n\r\n")
    assert (status, json.loads(body)["code"]) == (422, "validation_failed")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_envoys_ext_authz_keeps_method_and_path(server: Server, pair: dict[str, Any], method: str) -> None:
    """With ``path_prefix: /api/v1/auth/verify``; its requests have no body, and a Content-Length of 0."""
    token, empty = bearer(pair["access_token"]), b"Content-Length: 0"
    status, headers, _ = send(server, f"{method} /api/v1/auth/verify/orders//7?x=1&x=2", token, empty)
    assert (status, headers["X-Auth-Username"]) == (200, "ada")
    assert send(server, f"{method} /api/v1/auth/verify/orders//7?x=1", empty)[0] == 401
    assert send(server, f"{method} /api/v1/auth/verify/", token, empty)[0] == 200
    assert send(server, f"{method} /api/v1/auth/verify", token, empty)[0] == 204
    assert send(server, f"{method} /api/v1/auth/verify", empty)[0] == 401


def test_a_query_parameter_that_appears_twice_ends_nothing(server: Server, pair: dict[str, Any]) -> None:
    status, _, body = send(server, "POST /api/v1/auth/logout?scope=local&scope=global", bearer(pair["access_token"]))
    assert (status, json.loads(body)["errors"][0]["pointer"]) == (422, "#/query/scope")
    assert send(server, "GET /api/v1/ping", bearer(pair["access_token"]))[0] == 200
