"""What stands at ``/``, and the OpenAPI document as YAML."""

from typing import Literal

import pytest
import yaml
from flask import Flask

from authapp import create_app, public
from conftest import reconfigured
from factories import Api, problem
from settings import settings

NOWHERE = "postgresql+psycopg2://nobody@127.0.0.1:1/nothing"


def test_production_lists_its_addresses(api: Api) -> None:
    response = api.client.get("/")
    found = response.get_json()
    assert found == {"openapi": "/openapi.json", "health": "/health/ready", "docs": "/docs"}
    assert response.headers["Cache-Control"] == "no-store"
    for path in found.values():
        assert api.client.get(path).status_code == 200


def test_development_leads_to_the_docs(app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    reconfigured(app, monkeypatch, env="development")
    response = api.client.get("/")
    assert (response.status_code, response.headers["Location"]) == (302, "/docs")


@pytest.mark.parametrize("env", ["production", "development"])
def test_without_swagger_ui_there_are_no_docs_to_lead_to(
    monkeypatch: pytest.MonkeyPatch, env: Literal["production", "development"]
) -> None:
    monkeypatch.setattr("authapp.api.find_spec", lambda _name: None)
    response = create_app(settings(database_url=NOWHERE, env=env)).test_client().get("/")
    assert response.get_json() == {"openapi": "/openapi.json", "health": "/health/ready"}


def test_below_a_prefix_the_addresses_have_it() -> None:
    client = create_app(settings(database_url=NOWHERE, trusted_proxies=1)).test_client()
    assert client.get("/", headers={"X-Forwarded-Prefix": "/accounts"}).get_json()["docs"] == "/accounts/docs"
    document = client.get("/openapi.yaml", headers={"X-Forwarded-Prefix": "/accounts"})
    assert yaml.safe_load(document.text)["servers"] == [{"url": "/accounts"}]
    assert document.headers["Cache-Control"] == "private, max-age=300"


def test_an_application_has_its_own_front_page() -> None:
    app = create_app(settings(database_url=NOWHERE))

    @app.get("/")
    @public
    def front_page() -> str:
        return "mine"

    assert app.test_client().get("/").text == "mine"


@pytest.mark.parametrize(("method", "path"), [("POST", "/"), ("GET", "//"), ("GET", "/index"), ("DELETE", "/")])
def test_anything_else_is_not_there(api: Api, method: str, path: str) -> None:
    problem(api.client.open(method=method, environ_overrides={"PATH_INFO": path}), 404, "not_found")


def test_the_yaml_says_what_the_json_says(api: Api) -> None:
    response = api.client.get("/openapi.yaml")
    assert response.content_type == "application/yaml"
    assert yaml.safe_load(response.text) == api.client.get("/openapi.json").get_json()
    assert response.text.startswith("info:\n") or "\ninfo:\n" in response.text
    assert "\n  /api/v1/ping:\n" in response.text
