"""Guests reach nothing that was not opened on purpose."""

from urllib.parse import unquote

import pytest
from flask import Blueprint, Flask

from authapp import create_app
from databases import Databases
from factories import Api, a_session, a_user, problem
from settings import settings


def test_there_is_no_static_folder(app: Flask) -> None:
    assert "static" not in app.view_functions


@pytest.mark.parametrize("path", ["/nowhere", "/api/v1/ping/", "/api/v1//ping", "/static/x", "/api/v1/PING"])
def test_a_path_that_is_not_there_is_not_found(api: Api, path: str) -> None:
    problem(api.client.get(path), 404, "not_found")


@pytest.mark.parametrize("path", ["//api/v1/ping", "///api/v1/ping", "/%2fapi/v1/ping", "//health/live"])
def test_a_path_with_more_than_one_slash_before_it_reaches_no_view(app: Flask, api: Api, path: str) -> None:
    token = a_session(app, a_user(app)).access_token
    # As it arrives: the test client would take two slashes for the start of an address.
    answer = api.client.get(
        "/", headers={"Authorization": f"Bearer {token}"}, environ_overrides={"PATH_INFO": unquote(path)}
    )
    problem(answer, 404, "not_found")


def test_a_method_that_a_path_does_not_answer_is_refused_with_those_it_does(api: Api) -> None:
    response = api("DELETE", "/ping")
    problem(response, 405, "method_not_allowed")
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


def test_options_tells_a_guest_the_methods_and_no_more(api: Api) -> None:
    response = api("OPTIONS", "/ping")
    assert (response.status_code, response.data) == (204, b"")
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    problem(api("OPTIONS", "/nowhere"), 404, "not_found")


@pytest.mark.committed
def test_a_blueprint_that_somebody_adds_is_locked_too(databases: Databases) -> None:
    extra = Blueprint("extra", __name__)

    @extra.get("/extra")
    def view() -> str:
        return "secret"

    with databases.migrated() as url:
        app = create_app(settings(database_url=url))
        app.register_blueprint(extra)
        problem(app.test_client().get("/extra"), 401, "token_missing")
        token = a_session(app, a_user(app)).access_token
        answer = app.test_client().get("/extra", headers={"Authorization": f"Bearer {token}"})
        assert answer.data == b"secret"
