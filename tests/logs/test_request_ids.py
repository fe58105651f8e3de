"""An event that is logged while a request is answered has the id that its response has."""

import io
import json
import logging

import pytest
from flask import Flask

from authapp import public
from authapp.logs.formatter import LogFormatter

LIVE = "/health/live"


@pytest.fixture
def events(app: Flask, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Let a view log before anybody has asked for the id of its request; return what is written."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(LogFormatter(["level", "name", "message"]))
    log = logging.getLogger("a project")
    monkeypatch.setattr(log, "handlers", [handler])

    @public
    def view() -> str:
        log.warning("said")
        return "answered"

    endpoint, _ = app.url_map.bind("localhost").match(LIVE)
    monkeypatch.setitem(app.view_functions, endpoint, view)
    return written


@pytest.mark.parametrize("offered", [None, "of-the-client"])
def test_a_line_of_a_view_has_the_id_of_the_response(app: Flask, events: io.StringIO, offered: str | None) -> None:
    response = app.test_client().get(LIVE, headers={"X-Request-ID": offered} if offered else {})
    assert response.text == "answered"
    assert json.loads(events.getvalue())["request_id"] == response.headers["X-Request-ID"]
    assert response.headers["X-Request-ID"] == (offered or response.headers["X-Request-ID"])


def test_a_request_that_has_no_id_has_no_field_for_it() -> None:
    record = logging.LogRecord("a project", logging.WARNING, "file.py", 1, "said", (), None)
    with Flask("any").test_request_context():
        assert "request_id" not in json.loads(LogFormatter(["level", "name", "message"]).format(record))
