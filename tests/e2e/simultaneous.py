"""Requests that reach a server at the same moment."""

import json
import socket
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any

from e2e.processes import Server

Request = tuple[str, str, str] | tuple[str, str, str, dict[str, Any]]
"""Method, path, access token (empty for a guest), and perhaps a JSON body."""


@dataclass(frozen=True)
class Answer:
    """A status and a JSON body."""

    status: int
    body: dict[str, Any]

    @property
    def outcome(self) -> tuple[int, str | None]:
        """The status, and the code of a refusal."""
        return self.status, self.body.get("code")


def at_once(server: Server, requests: Iterable[Request]) -> list[Answer]:
    """Send requests at the same moment, each over a connection of its client."""
    with ExitStack() as stack:
        clients = []
        for request in requests:
            client = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30))
            data = _bytes(*request)
            client.sendall(data[:-1])
            clients.append((client, data[-1:]))
        for client, last_byte in clients:  # no request starts before all of them are there
            client.sendall(last_byte)
        return [_answer(client) for client, _ in clients]


def _bytes(method: str, path: str, token: str, body: dict[str, Any] | None = None) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    head = [f"{method} /api/v1{path} HTTP/1.1", "Host: localhost", "Connection: close"]
    head.append(f"Content-Length: {len(content)}")
    if content:
        head.append("Content-Type: application/json")
    if token:
        head.append(f"Authorization: Bearer {token}")
    return "\r\n".join([*head, "", ""]).encode() + content


def _answer(client: socket.socket) -> Answer:
    with HTTPResponse(client) as response:
        response.begin()
        body = response.read()
        return Answer(response.status, json.loads(body) if body else {})
