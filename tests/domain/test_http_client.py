"""The client that asks servers of others: how much it reads, how long it waits, and where it does not go."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from authapp.domain import http_client
from authapp.domain.http_client import HTTPClient, HTTPFailure, HTTPRequest, HTTPResponse
from providers import FakeProvider, fake_provider

MAX_BYTES = 1_000
Answer = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture(scope="module")
def server() -> Iterator[FakeProvider]:
    with fake_provider() as made:
        yield made


def ask(server: FakeProvider, answer: Answer, seconds: float = 5, **question: bool) -> HTTPResponse:
    server.lies.answers["/asked"] = answer
    client = HTTPClient(at_once=1, max_bytes=MAX_BYTES)
    return client.fetch(HTTPRequest(f"{server.issuer}/asked", **question), seconds)


def of_length(length: int, *, with_length: bool) -> Answer:
    head = f"Content-Length: {length}\r\n" if with_length else "Connection: close\r\n"

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.write(f"HTTP/1.1 200 OK\r\n{head}\r\n{'x' * length}".encode())

    return answer


@pytest.mark.parametrize("with_length", [True, False])
def test_an_answer_of_the_longest_length_is_read_and_none_that_is_longer(
    server: FakeProvider, with_length: bool
) -> None:
    assert len(ask(server, of_length(MAX_BYTES, with_length=with_length)).body) == MAX_BYTES
    with pytest.raises(HTTPFailure, match="longer than 1000 bytes"):
        ask(server, of_length(MAX_BYTES + 1, with_length=with_length))


def test_an_answer_that_ends_early_is_none(server: FakeProvider) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{}")

    with pytest.raises(HTTPFailure, match="ended early"):
        ask(server, answer)


def test_an_endless_answer_is_given_up_as_soon_as_it_is_too_long(server: FakeProvider) -> None:
    stopped = threading.Event()

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        try:
            while True:
                handler.wfile.write(b"x" * 1_000)
        except OSError:
            stopped.set()
            raise

    with pytest.raises(HTTPFailure, match="longer than 1000 bytes"):
        ask(server, endless)
    assert stopped.wait(2), "the connection stays open"


def head_without_end(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for _ in range(60):
        handler.wfile.write(b"X: y\r\n")
        time.sleep(0.05)


def interim_without_end(handler: BaseHTTPRequestHandler) -> None:
    for _ in range(60):
        handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.05)


@pytest.mark.parametrize("answer", [head_without_end, interim_without_end], ids=["headers", "100 Continue"])
def test_a_server_that_never_comes_to_an_end_is_given_up_in_time(server: FakeProvider, answer: Answer) -> None:
    started = time.monotonic()
    with pytest.raises(HTTPFailure, match=r"within 0\.3 s"):
        ask(server, answer, seconds=0.3)
    assert time.monotonic() - started < 1.5


def test_a_server_that_accepts_no_connection_is_given_up_in_time() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen(0)
        with socket.socket() as first:
            first.connect(busy.getsockname())
            started = time.monotonic()
            client = HTTPClient(at_once=1, max_bytes=MAX_BYTES)
            with pytest.raises(HTTPFailure):
                client.fetch(HTTPRequest(f"http://127.0.0.1:{busy.getsockname()[1]}/"), 0.3)
            assert time.monotonic() - started < 1.5


def test_a_private_host_is_not_asked_where_only_public_ones_may_be(server: FakeProvider) -> None:
    server.paths.clear()
    with pytest.raises(HTTPFailure, match="private address"):
        ask(server, of_length(1, with_length=True), public_only=True)
    assert server.paths == []


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "http://", "localhost", "http://localhost:99999/", "http://a\x00b/"]
)
def test_what_is_no_address_of_a_server_is_not_asked(url: str) -> None:
    client = HTTPClient(at_once=1, max_bytes=MAX_BYTES)
    for _ in range(2):
        with pytest.raises(HTTPFailure, match=r"not one of a server|could not be reached"):
            client.fetch(HTTPRequest(url), 1)


def dripping(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    for _ in range(60):
        handler.wfile.write(b" ")
        time.sleep(0.05)


@pytest.mark.parametrize("answer", [dripping, head_without_end], ids=["body", "headers"])
def test_an_answer_that_nobody_waits_for_any_more_keeps_no_turn(server: FakeProvider, answer: Answer) -> None:
    client = HTTPClient(at_once=1, max_bytes=MAX_BYTES)
    server.lies.answers.update({"/asked": answer, "/next": of_length(1, with_length=True)})
    with pytest.raises(HTTPFailure, match=r"within 0\.2 s"):
        client.fetch(HTTPRequest(f"{server.issuer}/asked"), 0.2)
    assert client.fetch(HTTPRequest(f"{server.issuer}/next"), 1).status == 200


def test_a_request_that_nobody_waits_for_any_more_is_not_sent(
    server: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = socket.getaddrinfo

    def slow(*args: Any, **names: Any) -> Any:
        time.sleep(0.4)
        return look_up(*args, **names)

    client = HTTPClient(at_once=1, max_bytes=MAX_BYTES)
    server.lies.answers["/next"] = of_length(1, with_length=True)
    server.paths.clear()
    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", slow)
        with pytest.raises(HTTPFailure, match=r"within 0\.1 s"):
            client.fetch(HTTPRequest(f"{server.issuer}/late", "POST", body=b"client_secret=x"), 0.1)
    assert client.fetch(HTTPRequest(f"{server.issuer}/next"), 2).status == 200
    assert server.paths == ["/next"]


def test_a_handshake_of_tls_that_nobody_waits_for_any_more_keeps_no_turn() -> None:
    def drip(listening: socket.socket) -> None:
        connected, _ = listening.accept()
        with connected, suppress(OSError):
            connected.sendall(b"\x16\x03\x03\x40\x00")
            for _ in range(60):
                connected.sendall(b"\x02")
                time.sleep(0.05)

    client = HTTPClient(at_once=1, max_bytes=MAX_BYTES)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=drip, args=(listening,), daemon=True).start()
        with pytest.raises(HTTPFailure, match=r"within 0\.2 s"):
            client.fetch(HTTPRequest(f"https://127.0.0.1:{listening.getsockname()[1]}/"), 0.2)
        assert client._slots.acquire(timeout=0.3)


def test_a_private_host_gets_no_handshake_of_tls() -> None:
    client = HTTPClient(at_once=1, max_bytes=MAX_BYTES)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"https://127.0.0.1:{listening.getsockname()[1]}/"
        with pytest.raises(HTTPFailure, match="private address"):
            client.fetch(HTTPRequest(url, public_only=True), 1)
        connected, _ = listening.accept()
        with connected:
            assert connected.recv(100) == b""


@pytest.mark.parametrize(
    ("host", "is_public"),
    [
        ("93.184.216.34", True),
        ("10.0.0.7", False),
        ("fe80::1%eth0", False),
        ("2606:4700::1111", True),
        ("::ffff:93.184.216.34", True),
        ("::ffff:10.0.0.7", False),
        ("64:ff9b::a00:7", False),
        ("64:ff9b:1::a00:7", False),
        ("2002:a00:7::1", False),
        ("2001::a00:7", False),
        ("::a00:7", False),
        ("::1", False),
        ("fec0::7", False),
        ("fd00::7", False),
        ("ff0e::7", False),
        ("239.1.2.3", False),
    ],
)
def test_a_private_address_is_found_in_each_of_its_forms(host: str, is_public: bool) -> None:
    assert http_client._is_public(host) is is_public
