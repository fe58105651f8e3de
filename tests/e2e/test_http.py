"""What reaches the server as bytes: requests that no library would send."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from databases import Databases
from e2e.processes import Server, environment, serving
from factories import PASSWORD


def send(server: Server, data: bytes) -> bytes:
    """Send ``data`` and return all that comes back until the server closes, or is silent for a while."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=3) as connection:
        connection.sendall(data)
        received = b""
        try:
            while more := connection.recv(65536):
                received += more
        except TimeoutError:
            pass
        return received


HOST = b"Host: x\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"GARBAGE\r\n\r\n",
        b"GET /api/v1/ping HTTP/9.9\r\n" + HOST + b"\r\n",
        b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /api/v1/ping HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 10_000 + b"\r\n\r\n",
        b"GET /api/v1/ping HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 200 + b"\r\n",
        b"GET /api/v1/ping HTTP/1.1\r\n" + HOST + b"no colon here\r\n\r\n",
        b"GET /api/v1/ping HTTP/1.1\r\n" + HOST + b"X\x00: y\r\n\r\n",
        b"POST /api/v1/auth/login HTTP/1.1\r\n" + HOST + b"Content-Length: x\r\n\r\n",
        b"POST /api/v1/auth/login HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}{}{}",
        b"POST /api/v1/auth/login HTTP/1.1\r\n"
        + HOST
        + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"POST /api/v1/auth/login HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n",
        b"POST /api/v1/auth/login HTTP/1.1\r\n"
        + HOST
        + b"Content-Type: application/json\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"GET /%c0%af..%c0%af HTTP/1.1\r\n" + HOST + b"\r\n",
    ],
    ids=range(13),
)
def test_whatever_is_sent_gets_a_4xx_in_problem_json(server: Server, data: bytes) -> None:
    head, _, body = send(server, data).partition(b"\r\n\r\n")
    status = int(head.split()[1])
    assert 400 <= status < 500, head
    assert status == 400 or b"/problems/not_found" in body, "one code, one status"
    assert b"content-type: application/problem+json" in head.lower()
    problem = json.loads(body)
    assert problem["status"] == status
    assert {"type", "title", "code", "detail", "instance", "request_id"} <= set(problem)


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        b"Content-Length: 4\r\nTransfer-Encoding: xchunked\r\n",
        b"Content-Length: 4\r\nTransfer-Encoding: chunked, identity\r\n",
        b"Content-Length: 4\r\nTransfer-Encoding : chunked\r\n",
        b"Content-Length: 4\r\nTransfer-Encoding:\x0bchunked\r\n",
    ],
)
def test_a_request_cannot_be_smuggled_behind_another(server: Server, framing: bytes) -> None:
    """CVE-2024-1135 and CVE-2024-6827: two lengths, of which two servers believe different ones."""
    smuggled = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    body = b"0\r\n\r\n" + smuggled
    received = send(server, b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n" + body)
    assert b'"live"' not in received
    assert received.split()[1].startswith((b"4", b"5"))


def test_a_chunked_body_is_bounded_too(server: Server) -> None:
    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    head = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    head += b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert send(server, head + chunk * 3 + b"0\r\n\r\n").split()[1] == b"413"


@pytest.fixture(scope="module")
def behind_a_proxy(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("proxied")
    with databases.migrated() as url, serving(folder, environment(url, AUTHAPP_TRUSTED_PROXIES="1")) as server:
        yield server


def addresses(server: Server, forwarded: str) -> set[str]:
    """Log in through ``forwarded``, and return the addresses that the sessions show."""
    account = {"username": "ada", "email": "ada@example.com", "password": PASSWORD}
    server.call("POST", "/api/v1/auth/register", json=account)
    headers = {"X-Forwarded-For": forwarded}
    server.call("POST", "/api/v1/auth/login", json={"username": "ada", "password": PASSWORD}, headers=headers)
    engine = create_engine(server.database_url)
    with engine.connect() as connection:
        seen = set(connection.scalars(text("SELECT ip_address FROM sessions")))
    engine.dispose()
    return seen


def test_forwarded_addresses_are_not_believed_unless_a_proxy_is_trusted(server: Server, behind_a_proxy: Server) -> None:
    assert addresses(server, "198.51.100.7") == {"127.0.0.1"}
    assert addresses(behind_a_proxy, "203.0.113.5, 198.51.100.7") == {"198.51.100.7"}
