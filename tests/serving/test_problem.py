"""What a client gets for a request that gunicorn cannot parse."""

import json
import socket
from typing import Any

import gunicorn.util
import pytest

from authapp.serving import problem


def taken_apart(response: bytes) -> tuple[str, dict[str, str], dict[str, Any]]:
    head, _, body = response.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return first, dict(line.split(": ", 1) for line in lines), json.loads(body)


@pytest.mark.parametrize("status", [400, 403, 414, 417, 431, 501])
def test_whatever_the_client_got_wrong_is_400_with_one_code(status: int) -> None:
    first, headers, body = taken_apart(problem.response(status, "Whatever"))
    assert first == "HTTP/1.1 400 Bad Request"
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["Connection"] == "close"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert body.pop("request_id") == headers["X-Request-ID"]
    assert body == {
        "type": "/problems/malformed_request",
        "title": "The request cannot be read.",
        "status": 400,
        "code": "malformed_request",
        "detail": "The request cannot be read.",
        "instance": "/",
    }


def test_what_the_server_got_wrong_stays_500() -> None:
    first, headers, body = taken_apart(problem.response(500, "Internal Server Error"))
    assert first == "HTTP/1.1 500 Internal Server Error"
    assert (body["status"], body["code"]) == (500, "internal_error")
    assert int(headers["Content-Length"]) == len(json.dumps(body))


def test_gunicorn_sends_it_without_the_words_of_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gunicorn.util, "write_error", gunicorn.util.write_error)
    recorded: list[tuple[int, str]] = []
    problem.install(lambda *answer: recorded.append(answer))
    server, client = socket.socketpair()
    with server, client:
        gunicorn.util.write_error(server, 431, "Too Large", "Invalid Header 'secret'")
        received = client.recv(65536)
    assert b"malformed_request" in received
    assert b"secret" not in received
    assert recorded == [(400, "malformed_request")]
