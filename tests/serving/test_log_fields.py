"""Every field of the log is in the table of docs/operations.md, and each of the table is written."""

import ast
import json
import logging
import re
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

from flask import Flask
from opentelemetry.sdk.trace import TracerProvider

from authapp.logs import handler
from authapp.logs.formatter import LogFormatter
from authapp.serving.access_log import line
from authapp.serving.settings import logconfig_dict
from authapp.shared_names import REQUEST_ID, TRACE
from doc_pages import TEXTS, rows

SOURCES = Path(handler.__file__).parent.parent
LOGGING = {"debug", "info", "warning", "error", "exception", "critical", "log"}


def documented() -> set[str]:
    section = TEXTS["docs/operations.md"].partition("\n## Logs\n")[2].partition("\n## ")[0]
    table = section[section.index("| field |") :].partition("\n\n")[0]
    return {row[0].strip("`") for row in rows(table) if row[0].startswith("`")}


def fields_of_a_request() -> set[str]:
    return set(json.loads(line(SimpleNamespace(status="200 OK", sent=1), {TRACE: ("0", "1")}, timedelta())))


def fields_of_an_event() -> set[str]:
    formatter = LogFormatter(logconfig_dict["formatters"]["json"]["fmt"])
    try:
        int("none")
    except ValueError:
        record = logging.LogRecord("authapp", logging.ERROR, "file.py", 1, "failed", (), sys.exc_info(), sinfo="here")
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    with Flask("any").test_request_context(environ_overrides={REQUEST_ID: "r-1"}), tracer.start_as_current_span("any"):
        return set(json.loads(formatter.format(record)))


def test_the_table_has_each_field_that_is_written_and_no_other() -> None:
    last_resort = set(json.loads(handler._line(logging.makeLogRecord({}), "lost")))
    assert fields_of_a_request() | fields_of_an_event() | last_resort == documented()


def test_the_code_adds_no_field_of_its_own() -> None:
    """With ``extra``, a call of ``logging`` would write a field that the first test does not see."""
    for source in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOGGING:
                assert "extra" not in {keyword.arg for keyword in node.keywords}, source


def test_each_field_has_a_name_in_both_schemas_or_none() -> None:
    section = TEXTS["docs/operations.md"].partition("\n## Logs\n")[2]
    for field in documented():
        assert re.search(rf"^\| `{field}` \|[^|]+\|[^|]+\|[^|]+\|$", section, re.MULTILINE), field
