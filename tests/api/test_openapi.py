"""The contract that the server publishes."""

from typing import Any

import pytest
from flask import Flask

from authapp.errors import catalogue
from factories import Api

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
def document(api: Api) -> dict[str, Any]:
    response = api.client.get("/openapi.json")
    assert response.content_type == "application/json"
    body: dict[str, Any] = response.get_json()
    return body


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method, path): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def test_it_is_openapi_3_1_and_holds_every_route_but_its_own(app: Flask, document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    published = {(method.upper(), path) for method, path in operations(document)}
    routes = {
        (method, rule.rule.replace("<uuid:", "{").replace("<", "{").replace(">", "}"))
        for rule in app.url_map.iter_rules()
        if not rule.endpoint.startswith(("document.", "docs."))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert published == routes


def test_every_operation_documents_its_errors_with_an_example_each(document: dict[str, Any]) -> None:
    for key, operation in operations(document).items():
        assert operation["summary"], key
        assert operation["operationId"], key
        for status, response in operation["responses"].items():
            if status >= "400":
                content = response["content"]["application/problem+json"]
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
                for code, example in content["examples"].items():
                    assert example["value"]["code"] == code
                    assert str(example["value"]["status"]) == status


def test_every_code_that_it_names_exists(document: dict[str, Any]) -> None:
    named = {
        code
        for operation in operations(document).values()
        for response in operation["responses"].values()
        for code in response.get("content", {}).get("application/problem+json", {}).get("examples", {})
    }
    not_of_an_operation = {"method_not_allowed", "internal_error"}
    assert named == set(catalogue()) - not_of_an_operation


def test_locked_operations_say_which_token_they_need(document: dict[str, Any]) -> None:
    for (_, path), operation in operations(document).items():
        guarded = "401" in operation["responses"] and path != "/api/v1/auth/login"
        assert bool(operation["security"]) == guarded, path


def test_no_schema_shows_a_hash_or_is_left_over(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert "hash" not in str(schemas["User"])
    assert "password" not in schemas["User"]["properties"]
    for name in schemas:
        assert f"#/components/schemas/{name}'" in str(document), f"{name} is not used"


def test_the_page_loads_nothing_from_elsewhere(api: Api) -> None:
    page = api.client.get("/docs")
    assert page.status_code == 200
    assert "//" not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    for name in ("start.js", "swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"):
        assert f"docs/{name}" in page.text
        with api.client.get(f"/docs/{name}") as asset:
            assert asset.status_code == 200
    assert api.client.get("/docs/index.html").status_code == 404
