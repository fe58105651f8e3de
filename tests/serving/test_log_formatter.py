"""The format of everything else that is logged."""

import json
import logging
import sys
from typing import Any

from flask import Flask

from authapp.serving.log_formatter import LogFormatter
from authapp.shared_names import REQUEST_ID


def formatted(name: str, message: str) -> dict[str, Any]:
    record = logging.LogRecord(name, logging.WARNING, "file.py", 1, message, (), None)
    text = LogFormatter(["level", "name", "message"]).format(record)
    assert "\n" not in text
    fields: dict[str, Any] = json.loads(text)
    return fields


def test_a_message_is_one_line_with_its_level_and_time_in_utc() -> None:
    fields = formatted("authapp", 'two\nlines and a "quote"')
    assert fields["timestamp"].endswith("+00:00")
    assert len(fields["timestamp"]) == len("2026-11-23T21:38:06.531+00:00")
    del fields["timestamp"]
    assert fields == {"level": "WARNING", "name": "authapp", "message": 'two\nlines and a "quote"'}


def test_within_a_request_its_id_is_logged() -> None:
    with Flask("any").test_request_context(environ_overrides={REQUEST_ID: "r-1"}):
        assert formatted("authapp", "said")["request_id"] == "r-1"


def test_a_long_traceback_loses_its_middle_so_that_lines_of_two_workers_do_not_mix() -> None:
    def fail(depth: int) -> None:
        if depth:
            fail(depth - 1)
        raise ValueError("\xe4" * 2000 + " the end")

    try:
        fail(200)
    except ValueError:
        record = logging.LogRecord("authapp", logging.ERROR, "file.py", 1, "failed", (), sys.exc_info())
    line = LogFormatter(["level", "name", "message"]).format(record)
    assert len(line) < 4095
    fields = json.loads(line)
    assert fields["message"] == "failed"
    assert fields["exc_info"].startswith("Traceback (most recent call last):\n")
    assert fields["exc_info"].endswith(" the end")
    assert " [...] " in fields["exc_info"]


def test_a_long_message_keeps_both_ends() -> None:
    message = formatted("authapp", "start" + "x" * 100_000 + "end")["message"]
    assert (message[:5], message[-3:]) == ("start", "end")
