"""When the parts of an answer are sent: the head together with the first part of the body."""

from pathlib import Path

import pytest

from authapp.serving.client_socket import ClientSocket
from authapp.serving.fair_scheduler import FairScheduler
from serving.running import gunicorn

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n"


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


@pytest.mark.parametrize("end", ["flush", "linger"])
def test_a_head_without_a_body_is_sent_at_the_end(client: Client, answer: ClientSocket, end: str) -> None:
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
