"""The answer to a request that gunicorn cannot parse: problem+json (RFC 9457), as from the application.

gunicorn 27.0 would send HTML. No setting changes that, so one of its functions is replaced. Name of gunicorn that this
file depends on, and that no document promises (tests/serving/test_gunicorn_names.py):
``gunicorn.util.write_error(sock, status_int, reason, mesg)``, replaced in each worker.
"""

import http
import json
import uuid
from collections.abc import Callable, Iterable
from typing import Any

import gunicorn.util

MALFORMED_REQUEST = "malformed_request"


def code_of(status: int) -> str:
    """Return the code of an answer to which gunicorn gives this status."""
    is_client_error = status < 500 or status == http.HTTPStatus.NOT_IMPLEMENTED
    return MALFORMED_REQUEST if is_client_error else "internal_error"


def install(record: Callable[[int, str], object]) -> None:
    """Replace gunicorn's error page in this process. ``record`` is called with the status and the code of each."""

    def write_error(sock: Any, status: int, reason: str, message: str) -> None:
        code = code_of(status)
        record(400 if code == MALFORMED_REQUEST else status, code)
        write_problem(sock, status, reason, message)

    gunicorn.util.write_error = write_error


def write_problem(sock: Any, status: int, reason: str, _message: str) -> None:
    """Send the whole response; ``_message`` quotes the client's input and is not sent back."""
    sock.send(response(status, reason, getattr(sock, "error_headers", ())))


def response(status: int, reason: str, headers: Iterable[tuple[str, str]] = ()) -> bytes:
    """Return an HTTP/1.1 response for gunicorn's ``status``, with further ``headers``.

    gunicorn tells a dozen client errors apart; here all of them are 400 with one code, ``malformed_request``.
    """
    code = code_of(status)
    if code == MALFORMED_REQUEST:
        status, reason, title = 400, "Bad Request", "The request cannot be read."
    else:
        title = "Something went wrong on the server."
    request_id = str(uuid.uuid4())  # noqa: TID251 - the master may import nothing else of authapp
    problem = {"type": f"/problems/{code}", "title": title, "status": status, "code": code, "detail": title}
    body = json.dumps({**problem, "instance": "/", "request_id": request_id})
    head = [
        f"HTTP/1.1 {status} {reason}",
        "Connection: close",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        f"X-Request-ID: {request_id}",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return "\r\n".join([*head, "", body]).encode("ascii")
