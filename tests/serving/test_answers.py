"""When the parts of an answer are sent: the head together with the first part of the body."""

from pathlib import Path
from unittest.mock import Mock

import pytest

from authapp.serving.client_socket import ClientSocket
from authapp.serving.fair_scheduler import FairScheduler
from serving.running import everything, gunicorn

HEAD = b"HTTP/1.1 200 OK\r\nServer: gunicorn\r\nContent-Length: 8\r\n\r\n"


class Client:
    """A socket that records what is sent through it at once."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def settimeout(self, _seconds: float | None) -> None:
        """Do nothing."""

    def shutdown(self, _how: int) -> None:
        """Do nothing."""

    def recv(self, _size: int) -> bytes:
        """Return that the client is gone."""
        return b""

    def send(self, data: memoryview) -> int:
        """Record ``data``."""
        self.sent.append(bytes(data))
        return len(data)


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def answer(client: Client) -> ClientSocket:
    """The socket that gunicorn would write to."""
    return ClientSocket(client, FairScheduler())


def test_the_head_goes_out_with_the_first_part_of_the_body(client: Client, answer: ClientSocket) -> None:
    for part in (HEAD, b"half", b"half"):
        answer.sendall(part)
    assert client.sent == [HEAD + b"half", b"half"]


def test_each_answer_of_a_connection_has_a_head_of_its_own(client: Client, answer: ClientSocket) -> None:
    for _ in range(2):
        answer.sendall(HEAD)
        answer.sendall(b"complete")
        answer.flush()
        answer.expect_request()
    assert client.sent == [HEAD + b"complete"] * 2


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 8\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n",
    ],
)
def test_a_head_that_may_be_all_goes_out_at_once(client: Client, answer: ClientSocket, head: bytes) -> None:
    answer.sendall(head)
    assert client.sent == [head]


def test_an_answer_to_head_goes_out_at_once(client: Client, answer: ClientSocket) -> None:
    answer.recv(1)
    answer.begin_request(Mock(method="HEAD"))
    answer.sendall(HEAD)
    assert client.sent == [HEAD]


def test_another_answer_takes_the_place_of_one_that_was_held_back(client: Client, answer: ClientSocket) -> None:
    answer.sendall(HEAD)
    answer.send(b"HTTP/1.1 500 Internal Server Error\r\n\r\n")
    answer.linger()
    assert client.sent == [b"HTTP/1.1 500 Internal Server Error\r\n\r\n"]


@pytest.mark.parametrize("end", ["flush", "linger"])
def test_a_head_whose_body_does_not_come_is_sent_at_the_end(client: Client, answer: ClientSocket, end: str) -> None:
    answer.sendall(HEAD)
    getattr(answer, end)()
    getattr(answer, end)()
    assert client.sent == [HEAD]


def test_a_client_that_waits_for_the_status_100_gets_it_before_its_body(tmp_path: Path) -> None:
    with gunicorn(tmp_path) as server, server.connect() as sender:
        sender.sendall(b"POST /read HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        assert sender.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sender.sendall(b"body")
        received = sender.recv(1000)
        assert received.startswith(b"HTTP/1.1 200")
        assert received.endswith(b"body"), "one write is one segment here"


def test_an_answer_to_head_arrives_while_the_connection_stays(tmp_path: Path) -> None:
    with gunicorn(tmp_path) as server, server.connect() as sender:
        for _ in range(2):
            sender.sendall(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert sender.recv(1000).startswith(b"HTTP/1.1 200")


def test_hints_go_out_before_the_answer_is_made(tmp_path: Path) -> None:
    with gunicorn(tmp_path) as server, server.connect() as sender:
        sender.sendall(b"GET /hints HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        hints = sender.recv(1000)
        assert hints.startswith(b"HTTP/1.1 103")
        assert b"200 OK" not in hints
        assert everything(sender).startswith(b"HTTP/1.1 200")


def test_what_closes_an_answer_without_a_body_neither_delays_nor_loses_it(tmp_path: Path) -> None:
    with gunicorn(tmp_path) as server, server.connect() as sender:
        sender.settimeout(0.8)
        sender.sendall(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sender.recv(1000).startswith(b"HTTP/1.1 204")


@pytest.mark.parametrize(("path", "begun"), [("/exit", b""), ("/exit-later", b"half")])
def test_a_request_that_was_ended_in_the_middle_is_the_last_one(tmp_path: Path, path: str, begun: bytes) -> None:
    """Its client would take the answer to the next one for the rest of this one."""
    with gunicorn(tmp_path) as server, server.connect() as sender:
        sender.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
        received = everything(sender)
        assert received.endswith(begun)
        assert b"hello" not in received
