"""The lines about requests."""

import json
import logging
import os
import re
import sys
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TextIO
from unittest.mock import patch

import pytest
from gunicorn.glogging import Logger

from authapp.api import client
from authapp.errors import catalogue
from authapp.serving.access_log import AccessLogger, line
from authapp.shared_names import CODE, PRINCIPAL, REQUEST_ID, ROUTE
from e2e.processes import ROOT

ENVIRON = {
    "REQUEST_METHOD": "GET",
    "SERVER_NAME": "127.0.0.1",
    "PATH_INFO": "/api/v1/ping",
    "QUERY_STRING": "token=secret-in-query",
    "HTTP_REFERER": "https://example.com/?token=secret-in-referrer",
    "REMOTE_ADDR": "192.0.2.7",
    "HTTP_USER_AGENT": "curl/8",
    REQUEST_ID: "r-1",
    CODE: "permission_denied",
    PRINCIPAL: SimpleNamespace(id="u-1"),
    ROUTE: "/api/v1/<name>",
}
RESPONSE = SimpleNamespace(status="200 OK", sent=17)
TOOK = timedelta(seconds=1, microseconds=234)


def logger(accesslog: str | None) -> AccessLogger:
    """Return a logger that has not replaced the handlers of this process, as gunicorn's constructor does."""
    cfg = SimpleNamespace(accesslog=accesslog, capture_output=False, errorlog="-")
    with patch.object(Logger, "__init__", return_value=None):
        made = AccessLogger(cfg)
    made.cfg = cfg
    made.error_log = logging.getLogger("gunicorn.error")
    return made


@pytest.fixture(autouse=True)
def _level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gunicorn.error")


def write(log: AccessLogger, status: str = "200 OK", **changes: Any) -> None:
    log.access(SimpleNamespace(status=status, sent=17), None, ENVIRON | changes, TOOK)


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
        "route": "/api/v1/<name>",
        "status": 200,
        "code": "permission_denied",
        "user_id": "u-1",
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


def test_what_is_missing_is_a_dash() -> None:
    fields = json.loads(line(RESPONSE, {"REMOTE_ADDR": ""}, TOOK))
    names = ("method", "path", "route", "code", "remote_address", "user_id", "user_agent", "request_id")
    assert {fields[name] for name in names} == {"-"}


@pytest.mark.parametrize("character", ["x", "\xe4", "\x00", '"'])
def test_a_line_is_short_enough_to_stay_apart_from_others(character: str) -> None:
    long = character * 9000
    names = ("REQUEST_METHOD", "PATH_INFO", "REMOTE_ADDR", "HTTP_USER_AGENT", REQUEST_ID, CODE, ROUTE)
    text = line(RESPONSE, dict.fromkeys(names, long), TOOK)
    assert len(text) < 4096
    assert json.loads(text)["user_agent"] == character * len(json.loads(text)["user_agent"])


@pytest.mark.parametrize(("level", "written"), [(logging.DEBUG, 1), (logging.INFO, 1), (logging.WARNING, 0)])
def test_requests_are_logged_at_the_level_info(
    level: int, written: int, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(level, "gunicorn.error")
    write(logger("-"))
    assert capfd.readouterr().out.count("\n") == written


@pytest.mark.parametrize(
    ("rule", "status", "written"),
    [
        ("/health/live", "200 OK", 0),
        ("/health/ready", "200 OK", 0),
        ("/health/ready", "503 Service Unavailable", 1),
        ("/health<path:more>", "200 OK", 1),
    ],
)
def test_probes_that_find_nothing_wrong_can_be_left_out(
    rule: str, status: str, written: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(AccessLogger, "_logs_probes", False)
    write(logger("-"), status, **{ROUTE: rule})
    assert capfd.readouterr().out.count("\n") == written


@pytest.mark.parametrize("file", ["/dev/full", "/nothing/here", "a part", "-", "closed"])
def test_a_log_that_cannot_be_written_is_said_once_a_minute_and_harms_no_request(
    file: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if file == "a part":
        monkeypatch.setattr(os, "write", lambda _, data: len(data) - 1)
        file = "/dev/null"
    if file in {"-", "closed"}:
        monkeypatch.setattr(sys, "stdout", None if file == "-" else closed_stream())
        file = "-"
    log = logger(file)
    for _ in range(3):
        write(log)
    log.reopen_files()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "Lines lost since this process started: 1" in caplog.text
    log._next_report[False] = 0.0
    write(log)
    assert "Lines lost since this process started: 4" in caplog.text


def closed_stream() -> TextIO:
    """Return a stream whose descriptor nobody may ask for: that raises ``ValueError``, and no ``OSError``."""
    with Path(os.devnull).open("w") as stream:
        return stream


def test_the_alerts_of_the_documentation_ask_for_fields_and_codes_that_there_are() -> None:
    section = (ROOT / "docs/operations.md").read_text().partition("### Alerts")[2].partition("\n## ")[0]
    rows = [row.split("|")[1:3] for row in section.splitlines() if row.startswith("| `")]
    words = {word for row in rows for cell in row for word in re.findall("`([a-z_]+)`", cell)}
    fields, codes = set(json.loads(line(RESPONSE, ENVIRON, TOOK))), set(catalogue())
    assert len(rows) == 11
    assert words <= fields | codes, words - fields - codes
    sources = "".join(path.read_text() for path in (ROOT / "src/authapp").rglob("*.py"))
    messages = re.findall("begins with `([^`]+)`", section)
    assert [message for message in messages if f'"{message}' not in sources] == []


@pytest.mark.parametrize(("status", "code"), [("431 Too Large", "malformed_request"), ("500 Error", "internal_error")])
def test_the_line_of_an_answer_by_gunicorn_itself_has_its_code(
    capfd: pytest.CaptureFixture[str], status: str, code: str
) -> None:
    environ = {"REQUEST_METHOD": "POST", "REMOTE_ADDR": "192.0.2.7"}
    logger("-").access(SimpleNamespace(status=status, sent=0), None, environ, TOOK)
    assert json.loads(capfd.readouterr().out)["code"] == code


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
