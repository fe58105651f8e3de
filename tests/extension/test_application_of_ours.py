"""``create_app(import_name=__name__)`` in a project: its templates, its static files, its secret key."""

import gc
import importlib
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask, Response, abort, after_this_request

from authapp import create_app, public
from conftest import dispose
from databases import Databases
from settings import settings

MODULE = """\
from flask import render_template, session
from authapp import create_app, public


def make(settings):
    app = create_app(settings, import_name=__name__)

    @app.get("/page")
    @public
    def page():
        session["visits"] = 1
        return render_template("page.html")

    @app.get("/locked")
    def locked():
        return "unreachable"

    return app
"""


@pytest.fixture
def project(databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    for name, content in {
        "shelf.py": MODULE,
        "templates/page.html": "A page of {{ config.APP_NAME }}.",
        "static/style.css": "h1 {}",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("FLASK_SECRET_KEY", "from the environment")
    monkeypatch.setenv("FLASK_APP_NAME", "Shelf")
    with databases.migrated() as url:
        app = importlib.import_module("shelf").make(settings(database_url=url))
        yield app
        dispose(app)
    del sys.modules["shelf"]


def test_a_template_of_the_project_is_rendered_with_its_settings(project: Flask) -> None:
    assert project.test_client().get("/page").text == "A page of Shelf."


def test_the_secret_key_signs_the_session_cookie(project: Flask) -> None:
    assert project.config["SECRET_KEY"] == "from the environment"
    assert "session=" in project.test_client().get("/page").headers["Set-Cookie"]


def test_static_files_are_open_to_guests_and_nothing_else_is(project: Flask) -> None:
    client = project.test_client()

    with client.get("/static/style.css") as answer:
        assert answer.text == "h1 {}"
    assert client.get("/static/nothing.css").json["code"] == "not_found"
    assert client.get("/locked").json["code"] == "token_missing"


def test_without_a_project_there_is_no_static_route() -> None:
    app = create_app(settings(database_url="postgresql+psycopg2://nobody@127.0.0.1:9/nothing"))

    assert "static" not in app.view_functions
    assert app.config["SECRET_KEY"] is None


def test_nothing_of_a_request_is_kept_after_it(project: Flask) -> None:
    references = []

    class Upload:
        """Something large that a request holds."""

    @project.get("/upload")
    @public
    def upload() -> str:
        large = Upload()
        references.append(weakref.ref(large))

        @after_this_request
        def name_it(response: Response) -> Response:
            response.headers["X-Upload"] = type(large).__name__
            return response

        return "done"

    for _ in range(3):
        assert project.test_client().get("/upload").headers["X-Upload"] == "Upload"
    gc.collect()
    assert [reference() for reference in references] == [None] * 3


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "token_missing"),
        (403, "permission_denied"),
        (409, "malformed_request"),
        (422, "validation_failed"),
        (429, "too_many_requests"),
        (501, "internal_error"),
        (503, "service_unavailable"),
    ],
)
def test_a_view_that_aborts_is_answered_with_the_refusal_of_that_status(project: Flask, status: int, code: str) -> None:
    @project.get("/abort")
    @public
    def stop() -> str:
        abort(status)

    answer = project.test_client().get("/abort")
    assert answer.json["code"] == code
    assert answer.status_code == answer.json["status"] == {409: 400, 501: 500}.get(status, status)
    assert ("Retry-After" in answer.headers) == (status in {429, 503})
