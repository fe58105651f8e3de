"""Guests reach nothing that was not opened on purpose."""

import re
from uuid import uuid4

import pytest
from flask import Blueprint, Flask
from werkzeug.routing import Rule

from authapp import create_app
from authapp.api.guards import Door, door_of
from databases import Databases
from factories import Api, a_session, a_user, problem
from settings import settings

OPEN = {
    ("POST", "/api/v1/auth/register"),
    ("POST", "/api/v1/auth/login"),
    ("GET", "/.well-known/jwks.json"),
    ("GET", "/.well-known/oauth-authorization-server"),
    ("GET", "/docs"),
    ("GET", "/docs/<name>"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/openapi.json"),
    ("GET", "/problems/<code>"),
}
BY_REFRESH_TOKEN = {("POST", "/api/v1/auth/refresh")}
BY_FRESH_TOKEN = {("DELETE", "/api/v1/users/me")}


def routes(app: Flask, door: Door) -> set[tuple[str, str]]:
    def methods(rule: Rule) -> set[str]:
        return (rule.methods or set()) - {"HEAD", "OPTIONS"}

    rules = [rule for rule in app.url_map.iter_rules() if door_of(app.view_functions[rule.endpoint]) is door]
    return {(method, rule.rule) for rule in rules for method in methods(rule)}


def test_exactly_these_routes_are_open(shared_app: Flask) -> None:
    assert routes(shared_app, Door.PUBLIC) == OPEN
    assert routes(shared_app, Door.REFRESH) == BY_REFRESH_TOKEN
    assert routes(shared_app, Door.FRESH) == BY_FRESH_TOKEN


def test_a_guest_gets_401_from_every_other_route(app: Flask) -> None:
    client = app.test_client()
    locked = routes(app, Door.ACCESS) | BY_REFRESH_TOKEN | BY_FRESH_TOKEN
    assert locked
    for method, rule in locked:
        path = re.sub("<uuid:[a-z_]+>", str(uuid4()), rule).replace("<name>", "admin")
        response = client.open(path, method=method)
        problem(response, 401, "token_missing")
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="authapp"'


def test_there_is_no_static_folder(app: Flask) -> None:
    assert "static" not in app.view_functions


@pytest.mark.parametrize("path", ["/nowhere", "/api/v1/ping/", "/api/v1//ping", "/static/x", "/api/v1/PING"])
def test_a_path_that_is_not_there_is_not_found(api: Api, path: str) -> None:
    problem(api.client.get(path), 404, "not_found")


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
