"""The origin of a request that gunicorn cannot parse, and the headers that its answer gets for it."""

import socket
import time
from unittest.mock import Mock

import pytest

from authapp.serving import problem
from authapp.serving.client_socket import HEAD_BYTES, ClientSocket
from authapp.serving.fair_scheduler import FairScheduler

APP = b"https://app.example.com"


def origin_in(*sent: bytes, read: int = 10) -> str | None:
    """Return what is found when ``read`` bytes have been parsed of what a client has ``sent``."""
    server, client = socket.socketpair()
    with server, client:
        limited = ClientSocket(server, FairScheduler())
        for data in sent:
            client.sendall(data)
        limited.recv(read)
        return limited.sent_origin()


def test_it_is_found_in_what_has_arrived() -> None:
    head = b"GET /%s HTTP/1.1\r\nHost: x\r\norigin:  %s\r\n\r\n" % (b"x" * 5000, APP)
    assert origin_in(head) == APP.decode()
    assert origin_in(b"GET / HTTP/1.1\r\n", b"Origin: %s\r\nX: " % APP) == APP.decode()


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nOrigin: https://app.exam",
        b"GET / HTTP/1.1\r\nX-Origin: %s\r\n\r\n" % APP,
        b"GET /?origin:%s HTTP/1.1\r\n\r\n" % APP,
        b"POST / HTTP/1.1\r\nOrigin: https://evil.example\r\n\r\na\r\nOrigin: %s\r\n" % APP,
    ],
)
def test_what_is_no_header_or_one_of_several_is_none(head: bytes) -> None:
    assert origin_in(head) is None


def test_blanks_without_end_cost_no_more_than_reading_them() -> None:
    blanks = b"X\r\norigin:%s" % (b" " * 1_500)
    started = time.process_time()
    assert origin_in(blanks) is None
    # A pattern that tries every way to divide them takes many seconds for so few.
    assert time.process_time() - started < 1


def test_no_more_is_read_than_a_head_may_have() -> None:
    padding = b"GET / HTTP/1.1\r\nX: %s\r\n" % (b"x" * HEAD_BYTES)
    assert origin_in(padding, b"Origin: %s\r\n\r\n" % APP) is None


def test_the_next_request_has_its_own() -> None:
    server, client = socket.socketpair()
    with server, client:
        limited = ClientSocket(server, FairScheduler())
        client.sendall(b"GET / HTTP/1.1\r\nOrigin: %s\r\n\r\n" % APP)
        limited.recv(1000)
        limited.begin_request(Mock(method="GET"))
        assert limited.sent_origin() == APP.decode()
        limited.expect_request()
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        limited.recv(1000)
        assert limited.sent_origin() is None


def test_gunicorn_sends_the_headers_that_the_client_is_to_have() -> None:
    server, client = socket.socketpair()
    with server, client:
        limited = ClientSocket(server, FairScheduler())
        limited.error_headers = [("Access-Control-Allow-Origin", APP.decode())]
        problem.write_problem(limited, 400, "Bad Request", "")
        assert b"\r\nAccess-Control-Allow-Origin: %s\r\n" % APP in client.recv(65536)
