"""Guests who send without end, to every kind of route: nobody else waits for them, and they are hung up on."""

import itertools
import re
import socket
import threading
from uuid import UUID

import pytest

from api.access_table import TABLE
from e2e.processes import Server
from e2e.senders import UNBOUNDED, Sender
from e2e.waits import answered_soon, waits

# The senders are to be hung up on within seconds, and take all the time that the processors have.
pytestmark = pytest.mark.alone

SENDERS = 6
"""More than there are workers, so that each of those has some."""

CHUNKS = b"1\r\nA\r\n" * 5_000
BODIES = {"chunked": ("Transfer-Encoding: chunked", CHUNKS), "long": ("Content-Length: 99999999999", b"x" * 65536)}
OTHERS = [
    "GET    /nothing",
    "PUT    /api/v1/nothing",
    "HEAD   /api/v1/users/me",
    "PATCH  /api/v1/auth/login",
    "OPTIONS /api/v1/ping",
]
"""What the table of routes has no row for."""


def in_groups() -> list[list[str]]:
    """Return the first lines of requests to each method of each route, so many in a group as there are senders."""
    routes = [re.sub("<uuid:[a-z_]+>", str(UUID(int=1)), route) for route in (*TABLE, *OTHERS)]
    lines = [" ".join([*re.sub("<[a-z:]+>", "unknown", route).split(), "HTTP/1.1\r\n"]) for route in routes]
    return [lines[start : start + SENDERS] for start in range(0, len(lines), SENDERS)]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("lines", in_groups(), ids=itertools.count())
def test_a_body_without_end_holds_nobody_up(server: Server, lines: list[str], body: str) -> None:
    header, data = BODIES[body]
    rest = f"Host: x\r\nContent-Type: application/json\r\n{header}\r\n\r\n"

    def measure() -> list[float]:
        senders = [Sender(server.port, (line + rest).encode(), data) for line in lines]
        for sender in senders:
            sender.start()
        try:
            measured = list(waits(server))
        finally:
            for sender in senders:
                sender.join()
        assert max(sender.lasted for sender in senders) < UNBOUNDED - 2, "they have been hung up on"
        return measured

    answered_soon(measure)


def test_sixty_kilobytes_in_chunks_of_one_byte_are_a_body_like_any_other(server: Server) -> None:
    def answer() -> None:
        body = b'{"username": "nobody", "password": "' + b" " * 60_000 + b'"}'
        chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
        head = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
            client.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
            answers.append(client.recv(65536))

    def measure() -> list[float]:
        answers.clear()
        threads = [threading.Thread(target=answer) for _ in range(SENDERS)]
        for thread in threads:
            thread.start()
        measured = list(waits(server))
        for thread in threads:
            thread.join()
        assert [each.split()[1] for each in answers] == [b"401"] * SENDERS
        assert all(b"Connection: keep-alive" in each for each in answers)
        return measured

    answers: list[bytes] = []
    answered_soon(measure)
