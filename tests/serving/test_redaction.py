"""What gunicorn logs about a client has none of the client's words."""

import json
import logging
import sys
import time
from pathlib import Path

import pytest

from authapp.serving import redaction
from serving.running import everything, gunicorn

SECRET = b"s3cr3t"
QUOTES = [b"", b"'", b'"', b"'\"", b"\\'", b"': \"", b"ip=1: "]
HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /read-all HTTP/1.1\r\nHost: x\r\n"
BROKEN = {
    "no request line": b"%s\r\n\r\n",
    "a path": b"GET /?token=%s \x80 HTTP/1.1\r\n\r\n",
    "a method": b"get%s / HTTP/1.1\r\n\r\n",
    "a version": b"GET / HTTP/%s\r\n\r\n",
    "a long line": b"GET /%s" + b"a" * 9_000 + b" HTTP/1.1\r\n\r\n",
    "no colon": HEAD + b"Authorization Bearer %s\r\n\r\n",
    "a header name": HEAD + b"X %s: y\r\n\r\n",
    "a header value": HEAD + b"Authorization: Bearer %s\x01\r\n\r\n",
    "a folded header": HEAD + b"X-%s: a\r\n %s\r\n\r\n",
    "two hosts": HEAD + b"Host: %s\r\n\r\n",
    "an expectation": HEAD + b"Expect: %s\r\n\r\n",
    "a length": POST + b"Content-Length: %s\r\n\r\n",
    "a coding": POST + b"Transfer-Encoding: %s\r\n\r\n",
    "a chunk size": POST + b"Transfer-Encoding: chunked\r\n\r\n%s\r\nA\r\n0\r\n\r\n",
    "a chunk end": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nA%s\r\n0\r\n\r\n",
    "an extension": POST + b"Transfer-Encoding: chunked\r\n\r\n1;\x01%s\r\nA\r\n0\r\n\r\n",
    "a trailer": POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX %s: y\r\n\r\n",
    "an early end": b"GET /%s HTTP/1.1\r\nAuthorization: %s",
    "an error of the application": b"GET /error?token=%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
}


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_nothing_that_a_client_sends_is_in_a_message(
    tmp_path: Path, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTHAPP_LOG_LEVEL", level)
    with gunicorn(tmp_path) as running:
        for data in BROKEN.values():
            for quote in QUOTES:
                client = running.connect()
                client.sendall(data.replace(b"%s", quote + SECRET + quote))
                if data.endswith(b"%s"):
                    client.close()
                else:
                    everything(client)
        time.sleep(0.3)
        lines = [json.loads(line) for line in running.log.splitlines()]
    said = [line for line in lines if line["name"] != "gunicorn.access"]
    assert [line for line in said if SECRET.decode() in json.dumps(line).lower()] == []
    messages = [line["message"] for line in said]
    assert "Invalid request from ip=127.0.0.1: InvalidHeaderName" in messages
    assert "Invalid request from ip=127.0.0.1: InvalidRequestLine" in messages
    failed = [message for message in messages if message.startswith("Error handling request")]
    assert len(failed) == len([quote for quote in QUOTES if b" " not in quote])
    assert all("ValueError, at\n  File" in message for message in failed), "where it happened is logged"
    if level == "DEBUG":
        assert "Ignored premature client disconnection" in messages


def record_of(message: str, *arguments: object, error: bool = False) -> logging.LogRecord:
    return logging.LogRecord("gunicorn.error", 30, "file.py", 1, message, arguments, sys.exc_info() if error else None)


def test_what_is_not_about_a_client_is_left_alone() -> None:
    record = record_of("Booting worker with pid: %s", 7)
    assert redaction.Redaction().filter(record)
    assert record.getMessage() == "Booting worker with pid: 7"


@pytest.mark.parametrize(
    ("message", "arguments", "logged"),
    [
        ("Invalid request from ip=::1: Invalid 'x' \"y\"", (), "Invalid request from ip=::1: unknown"),
        ("Ignored premature client disconnection. %s", ("x",), "Ignored premature client disconnection"),
        ("Worker is 100% done", (), "Worker is 100% done"),
    ],
)
def test_a_message_keeps_what_gunicorn_wrote(message: str, arguments: tuple[object, ...], logged: str) -> None:
    record = record_of(message, *arguments)
    token = redaction.serving_client.set(True)
    redaction.Redaction().filter(record)
    redaction.serving_client.reset(token)
    assert record.getMessage() == logged


def test_installing_it_twice_is_installing_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    logger = logging.getLogger(redaction.LOGGER)
    monkeypatch.setattr(logger, "filters", [])
    redaction.install()
    redaction.install()
    assert len(logger.filters) == 1
