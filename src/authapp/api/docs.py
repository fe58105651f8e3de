"""The API documentation: ``/openapi.json`` for machines, and the interactive page ``/docs`` for people."""

from functools import cache
from importlib.resources import files

from flask import Blueprint, Response, current_app, request, send_from_directory

from authapp.api.guards import public
from authapp.api.openapi import OpenAPIDocument
from authapp.api.responses import cacheable
from authapp.errors import ResourceNotFound
from authapp.shared_names import EXTENSION

document = Blueprint("document", __name__)
page = Blueprint("docs", __name__)

_SWAGGER_UI = frozenset({"swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"})
_OURS = frozenset({"page.css", "start.js"})
_PRIVATE = "private, max-age=300"

# Everything is loaded from this server and inline scripts are forbidden, so injected markup cannot run other code.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@document.get("/openapi.json")
@public
def openapi() -> Response:
    """Return the OpenAPI document, whose ``servers`` have the path prefix of a trusted proxy."""
    return _document(_openapi().json_below(request.script_root), "application/json")


@document.get("/openapi.yaml")
@public
def openapi_yaml() -> Response:
    """Return the same document as YAML (RFC 9512)."""
    return _document(_openapi().yaml_below(request.script_root), "application/yaml")


def _openapi() -> OpenAPIDocument:
    found: OpenAPIDocument = current_app.extensions[EXTENSION].openapi
    return found


def _document(text: str | bytes, content_type: str) -> Response:
    response = cacheable(Response(text, content_type=content_type))
    # A cache between that proxy and this server would give it to clients with another prefix; some ignore Vary.
    response.headers["Vary"] = "X-Forwarded-Prefix"
    if request.script_root:
        response.headers["Cache-Control"] = _PRIVATE
    return response


@page.get("")
@public
def show_page() -> Response:
    """Return the page of the interactive docs."""
    response = cacheable(Response(_page(), content_type="text/html; charset=utf-8"))
    response.headers["Content-Security-Policy"] = _POLICY
    return response


@page.get("/<name>")
@public
def asset(name: str) -> Response:
    """Return one of the files that the page loads."""
    if name not in _SWAGGER_UI | _OURS:
        raise ResourceNotFound
    return cacheable(send_from_directory(_static() if name in _OURS else _swagger_ui(), name))


@cache
def _page() -> str:
    return (files("authapp") / "api" / "static" / "docs" / "page.html").read_text()


@cache
def _static() -> str:
    return str(files("authapp") / "api" / "static" / "docs")


@cache
def _swagger_ui() -> str:
    return str(files("flask_swagger_ui") / "dist")
