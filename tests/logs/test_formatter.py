"""The format of everything else that is logged."""

import json
import logging
import sys
import time
from typing import Any

import pytest
from flask import Flask

from authapp.logs.formatter import LogFormatter
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


def with_extra(message: str, extra: dict[str, Any]) -> str:
    record = logging.LogRecord("authapp", logging.WARNING, "file.py", 1, message, (), None)
    vars(record).update(extra)
    return LogFormatter(["level", "name", "message"]).format(record)


@pytest.mark.parametrize(
    "extra",
    [
        {f"field_{number}": "x" * 100 for number in range(400)},
        {f"field_{number}": "x" * 10_000 for number in range(400)},
        {f"field_{number}": "\U0001f600" * 30 for number in range(60)},
        {f"field_{number}" * 50: number for number in range(60)},
        {"field": {f"key_{number}": ["x"] * 100 for number in range(1000)}},
    ],
    ids=["many", "many long ones", "many bytes", "long names", "nested"],
)
def test_many_or_long_fields_neither_break_a_line_nor_hold_up_the_loop(extra: dict[str, Any]) -> None:
    with Flask("any").test_request_context(environ_overrides={REQUEST_ID: "r-1"}):
        start = time.process_time()
        line = with_extra("\U0001f600" * 5000, extra)
        assert time.process_time() - start < 0.25
    assert len(line) < 4095
    fields = json.loads(line)
    assert (fields["level"], fields["name"], fields["request_id"]) == ("WARNING", "authapp", "r-1")
    assert " [...] " in fields["message"]


def test_a_long_message_keeps_both_ends() -> None:
    message = formatted("authapp", "start" + "x" * 100_000 + "end")["message"]
    assert (message[:5], message[-3:]) == ("start", "end")
