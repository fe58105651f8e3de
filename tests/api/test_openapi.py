"""The contract that the server publishes."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema_rs
import pytest
from flask import Flask
from marshmallow import Schema, fields, validate

import authapp
from api.access_table import ACCESS, FRESH, GUEST, RECENT, REFRESH, TABLE, TWO_FACTORS, WITH_TWO_FACTORS
from authapp import AuthApp, native_threads
from authapp.api.guards import AccessLevel
from authapp.api.patterns import ecmascript
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
        if not rule.endpoint.startswith(("document.", "docs.", "account_pages.", "console."))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert published == routes


TOKEN_ENDPOINT = ("post", "/api/v1/oauth/token")
"""Its errors are those of RFC 6749, and no problems."""


def test_it_is_made_once_and_beside_the_event_loop(app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    document = AuthApp.of(app).openapi
    threads: list[int] = []
    monkeypatch.setattr(document, "_json", None)
    monkeypatch.setattr(document, "_yaml", None)
    run = native_threads.run

    def recorded(work: Callable[[], Any]) -> Any:
        threads.append(run(threading.get_ident))
        return run(work)

    monkeypatch.setattr(native_threads, "run", recorded)
    for _ in range(2):
        assert api.client.get("/openapi.yaml").status_code == 200
        assert api.client.get("/openapi.json").status_code == 200
    assert len(threads) == 2, "the YAML takes a second, the JSON a tenth of one"
    assert threading.get_ident() not in threads


def test_every_worker_has_the_same_document() -> None:
    """Otherwise its ETag would change with each request of a browser that keeps the document."""
    command = [sys.executable, "-m", "tools.openapi_document"]
    documents = [
        subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
        for seed in ("1", "2")
    ]
    assert documents[0] == documents[1]


def test_every_operation_documents_its_errors_with_an_example_each(document: dict[str, Any]) -> None:
    for key, operation in operations(document).items():
        assert operation["summary"], key
        assert operation["operationId"], key
        for status, response in operation["responses"].items():
            if status >= "400" and key != TOKEN_ENDPOINT:
                content = response["content"]["application/problem+json"]
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
    # The last three are only there where addresses must be verified, a role requires a second factor, and browsers may
    # keep their refresh token in a cookie.
    not_of_an_operation = {
        *("method_not_allowed", "internal_error"),
        *("email_not_verified", "second_factor_enrolment_required", "origin_not_allowed"),
    }
    assert named == set(catalogue()) - not_of_an_operation


def test_every_response_is_described(document: dict[str, Any]) -> None:
    for (method, path), operation in operations(document).items():
        for status, response in operation["responses"].items():
            assert response.get("description"), f"{method} {path} {status}"


def test_locked_operations_say_which_token_they_need(document: dict[str, Any]) -> None:
    for (_, path), operation in operations(document).items():
        # These have what they need in their bodies.
        steps = ("login", "login-links", "passkey-logins", "second-factors", "refresh")
        open_paths = {f"/api/v1/auth/{step}" for step in (*steps, "providers/{name}/logins")}
        guarded = "401" in operation["responses"] and path not in open_paths
        needed = bool(operation["security"]) and {} not in operation["security"]
        assert needed == guarded, path


def bodies(document: dict[str, Any], *, successes: bool = True) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each body of a request and of a successful or a refusing response, by the operation and its place."""
    for (method, path), operation in operations(document).items():
        if successes:
            for content in operation.get("requestBody", {}).get("content", {}).values():
                yield f"{method} {path} request", content
        for status, response in operation["responses"].items():
            if (status < "300") == successes:
                for content in response.get("content", {}).values():
                    yield f"{method} {path} {status}", content


def validator(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    return jsonschema_rs.validator_for({**schema, "components": document["components"]}, validate_formats=True)


def test_every_body_has_an_example_that_its_schema_admits_and_no_placeholder(document: dict[str, Any]) -> None:
    for place, content in bodies(document):
        assert validator(document, content["schema"]).is_valid(content["example"]), place
        assert "'string'" not in str(content["example"]), place


def test_a_problem_response_admits_exactly_the_codes_that_it_names(document: dict[str, Any]) -> None:
    for place, content in bodies(document, successes=False):
        if TOKEN_ENDPOINT[1] in place:
            continue
        problem, admits = next(iter(content["examples"].values()))["value"], validator(document, content["schema"])
        admitted = {code for code in catalogue() if admits.is_valid({**problem, "code": code})}
        assert admitted == content["examples"].keys(), place


def test_a_problem_has_one_of_the_codes_that_exist(document: dict[str, Any]) -> None:
    for name in ("Problem", "Explanation"):
        assert document["components"]["schemas"][name]["properties"]["code"]["enum"] == list(catalogue())


def test_every_operation_says_what_it_needs(document: dict[str, Any]) -> None:
    said = {
        GUEST: "Needs no authentication.",
        ACCESS: "Needs authentication.",
        FRESH: "Needs a fresh access token: one from a login or a step-up, not from a refresh.",
        RECENT: "Needs a recent login or step-up;",
        TWO_FACTORS: "Needs a session with a second factor: its `amr` contains `mfa`. Needs a recent login",
        REFRESH: "Needs a refresh token, in the body;",
    }
    for row, level in TABLE.items():
        method, path = row.lower().split()
        operation = operations(document).get((method, re.sub("<(?:uuid:)?", "{", path).replace(">", "}")))
        if operation:
            needs = operation["description"].split("\n\n")[-1]
            permission = level.removesuffix(WITH_TWO_FACTORS)
            assert needs.startswith(said.get(level, f"Needs the permission `{permission}`.")), row
            assert ("session with a second factor" in needs) is level.endswith(WITH_TWO_FACTORS), row


def test_the_names_of_operations_are_short_and_plain(document: dict[str, Any]) -> None:
    for key, operation in operations(document).items():
        assert re.fullmatch(r"[A-Z][^.:`\n]{1,48}", operation["summary"]), key
        assert re.fullmatch(r"[a-z]+([A-Z][a-z]+)*", operation["operationId"]), key
    for name in document["components"]["schemas"]:
        assert re.fullmatch(r"([A-Z][a-z]+)+", name), name
    for tag in document["tags"]:
        assert re.fullmatch(r"[a-z_]+", tag["name"])


def test_a_refresh_is_documented_with_the_token_in_the_body_alone(document: dict[str, Any]) -> None:
    operation = document["paths"]["/api/v1/auth/refresh"]["post"]
    body = operation["requestBody"]
    assert operation["security"] == []
    assert body["required"] is True
    assert body["content"]["application/json"]["example"]["refresh_token"].startswith("ey")
    assert document["components"]["schemas"]["Refresh"]["required"] == ["refresh_token"]


class PaintSchema(Schema):
    """Fields as a project writes them."""

    name = fields.String(validate=validate.Regexp("(?P<letter>[a-z])[^\x00\x1f]*\\Z"))
    either = fields.String(validate=validate.Regexp("red|blue"))
    shouted = fields.String(validate=validate.Regexp("red", re.IGNORECASE))
    kind = fields.Enum(AccessLevel, by_value=True)
    parts = fields.List(fields.Nested("PaintSchema"))


@pytest.mark.committed  # an application takes no blueprint after its first request
def test_a_blueprint_of_a_project_is_described_as_well(app: Flask) -> None:
    blueprint = authapp.Blueprint("paints", __name__)

    @blueprint.post("/paints")
    @blueprint.arguments(PaintSchema)
    @blueprint.response(201, PaintSchema)
    def mix_paint(body: dict[str, Any]) -> dict[str, Any]:
        """Mix `paint`.

        All of it.
        """
        return body

    AuthApp.of(app).register_blueprint(blueprint)
    document = app.test_client().get("/openapi.json").get_json()
    operation = document["paths"]["/paints"]["post"]
    properties = document["components"]["schemas"]["Paint"]["properties"]

    assert operation["summary"] == "Mix paint"
    assert operation["description"] == "All of it.\n\nNeeds authentication."
    assert properties["name"]["pattern"] == r"^(?:(?<letter>[a-z])[^\x00\x1f]*$)"
    assert properties["either"]["pattern"] == "^(?:red|blue)"
    assert "pattern" not in properties["shouted"]
    assert properties["kind"] == {"type": "string", "enum": ["access", "refresh", "public"]}
    example = {"name": "string", "either": "string", "shouted": "string", "kind": "access", "parts": []}
    assert operation["responses"]["201"]["content"]["application/json"]["example"] == example


def test_every_pattern_is_ecmascript_and_no_parameter_is_null(document: dict[str, Any]) -> None:
    patterns = set(re.findall(r"'pattern': ('(?:[^'\\]|\\.)*')", str(document)))
    assert len(patterns) >= 5
    assert not [pattern for pattern in patterns if re.search(r"\\Z|\\A|\(\?P", pattern) or not pattern.isprintable()]
    for operation in operations(document).values():
        for parameter in operation.get("parameters", []):
            assert isinstance(parameter["schema"]["type"], str)
            assert parameter["schema"].get("default", "") is not None


@pytest.mark.parametrize(
    ("python", "expected"),
    [
        (r"\A[a-z]+\Z", "^[a-z]+$"),
        (r"(?P<year>\d{4})-(?P=year)", r"(?<year>\d{4})-\k<year>"),
        ("^[^\x00-\x1f\x7f\u2028]*$", r"^[^\x00-\x1f\x7f\u2028]*$"),
        (r"\u0000\a\U0001F600", r"\x00\x07\u{1f600}"),
        (r"\_\-\ \#\"", '_- #"'),
        (r"[\-\ \_[]", r"[\- _\[]"),
        ("[]a][^]b]", r"[\]a][^\]b]"),
        ("a{,3}{2}b{x}]", r"a{0,3}{2}b\{x\}\]"),
        ("[(?P<x>{,2}*+]", "[(?P<x>{,2}*+]"),
        (r"(?:a)(?=b)(?!c)(?<!d)\p{L}\.", r"(?:a)(?=b)(?!c)(?<!d)\p{L}\."),
        ("(?i)a", None),
        ("(?>a)", None),
        ("a++", None),
        ("(a)?(?(1)b)", None),
    ],
)
def test_a_pattern_of_python_is_said_in_ecmascript(python: str, expected: str | None) -> None:
    assert ecmascript(python) == expected


def test_no_schema_shows_a_hash_or_is_left_over(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert "hash" not in str(schemas["User"])
    assert "password" not in schemas["User"]["properties"]
    for name in schemas:
        assert f"#/components/schemas/{name}'" in str(document), f"{name} is not used"


def test_every_operation_has_what_the_page_shows_of_its_needs(document: dict[str, Any]) -> None:
    found = {operation["operationId"]: operation["x-needs"] for operation in operations(document).values()}
    assert found["logIn"] == ["guest"]
    assert found["getPong"] == ["access token"]
    assert found["refreshTokens"] == ["refresh token"]
    assert found["listUsers"] == ["access token", "users:read"]
    assert found["deleteOwnAccount"] == ["access token", "fresh token", "step-up in some cases"]
    assert found["updateUser"] == ["access token", "users:write", "step-up in some cases"]
    assert found["createOwnApiKey"] == ["access token", "recent login"]
    assert found["deleteTotp"] == ["access token", "second factor", "recent login"]


def test_the_page_loads_nothing_from_elsewhere(api: Api) -> None:
    page = api.client.get("/docs")
    assert page.status_code == 200
    assert "//" not in page.text
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Content-Security-Policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )
    for name in ("start.js", "page.css", "swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"):
        assert f"docs/{name}" in page.text
        with api.client.get(f"/docs/{name}") as asset:
            assert asset.status_code == 200
    assert api.client.get("/docs/index.html").status_code == 404
