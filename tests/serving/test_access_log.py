"""The lines about requests."""

import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from authapp.api import client
from authapp.serving.access_log import USER_AGENT, AccessLogger, line
from authapp.serving.event_formatter import REQUEST_ID

ENVIRON = {
    "REQUEST_METHOD": "GET",
    "PATH_INFO": "/api/v1/ping",
    "QUERY_STRING": "token=secret-in-query",
    "HTTP_REFERER": "https://example.com/?token=secret-in-referrer",
    "REMOTE_ADDR": "192.0.2.7",
    "HTTP_USER_AGENT": "curl/8",
    REQUEST_ID: "r-1",
}
RESPONSE = SimpleNamespace(status="200 OK", sent=17)
TOOK = timedelta(seconds=1, microseconds=234)


def logger(accesslog: str | None) -> AccessLogger:
    """Return a logger that has not replaced the handlers of this process, as gunicorn's constructor does."""
    made = AccessLogger.__new__(AccessLogger)
    made.cfg = SimpleNamespace(accesslog=accesslog, capture_output=False, errorlog="-")
    return made


def write(log: AccessLogger, **changes: str) -> None:
    log.access(RESPONSE, None, ENVIRON | changes, TOOK)


def test_a_line_is_one_json_object_without_query_and_referrer() -> None:
    text = line(RESPONSE, ENVIRON, TOOK)

    assert text.endswith("}\n")
    assert text.count("\n") == 1
    assert "secret" not in text
    fields: dict[str, Any] = json.loads(text)
    assert datetime.fromisoformat(fields.pop("timestamp")).utcoffset() == timedelta(0)
    assert fields == {
        "level": "INFO",
        "name": "gunicorn.access",
        "message": "request",
        "method": "GET",
        "path": "/api/v1/ping",
        "status": 200,
        "bytes": 17,
        "duration_us": 1_000_234,
        "remote_address": "192.0.2.7",
        "user_agent": "curl/8",
        "request_id": "r-1",
    }


@pytest.mark.parametrize("name", ["PATH_INFO", "HTTP_USER_AGENT", "REMOTE_ADDR", "REQUEST_METHOD", REQUEST_ID])
def test_input_cannot_forge_a_line(name: str) -> None:
    text = line(RESPONSE, ENVIRON | {name: 'x"}\n{"level": "ERROR\x00\udce4é'}, TOOK)
    assert text.isascii()
    assert text.count("\n") == 1
    assert json.loads(text)["level"] == "INFO"


def test_the_user_agent_is_logged_as_the_application_decoded_it() -> None:
    environ = ENVIRON | {"HTTP_USER_AGENT": "M\xc3\xbcller"}
    assert client.user_agent(environ) == "Müller"
    assert json.loads(line(RESPONSE, environ, TOOK))["user_agent"] == "Müller"
    assert USER_AGENT == client.USER_AGENT


def test_what_is_missing_is_a_dash() -> None:
    fields = json.loads(line(RESPONSE, {"REMOTE_ADDR": ""}, TOOK))
    assert {fields[name] for name in ("method", "path", "remote_address", "user_agent", "request_id")} == {"-"}


def test_a_dash_is_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    log = logger("-")
    write(log)
    log.reopen_files()
    write(log)
    assert capfd.readouterr().out.count('"/api/v1/ping"') == 2


def test_without_a_file_nothing_is_written(capfd: pytest.CaptureFixture[str]) -> None:
    write(logger(None))
    assert capfd.readouterr().out == ""


def test_a_file_is_opened_again_after_its_rotation(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    log = logger(str(file))
    write(log, PATH_INFO="/before")
    file.rename(tmp_path / "access.log.1")
    write(log, PATH_INFO="/between")
    before = open_files()
    log.reopen_files()
    write(log, PATH_INFO="/after")
    assert open_files() == before
    log.reopen_files()

    assert [json.loads(each)["path"] for each in (tmp_path / "access.log.1").read_text().splitlines()] == [
        "/before",
        "/between",
    ]
    assert [json.loads(each)["path"] for each in file.read_text().splitlines()] == ["/after"]
    assert file.stat().st_mode & 0o777 == 0o640 & ~_umask()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
