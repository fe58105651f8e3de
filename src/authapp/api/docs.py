"""The API documentation: ``/openapi.json`` for machines, and the interactive page ``/docs`` for people."""

from functools import cache
from importlib.resources import files
from pathlib import Path

from flask import Blueprint, Response, current_app, request

from authapp.api.guards import public
from authapp.api.html import html
from authapp.api.openapi import OpenAPIDocument
from authapp.api.page_files import STATIC, PageFiles
from authapp.api.responses import cacheable
from authapp.shared_names import EXTENSION

document = Blueprint("document", __name__)
page = Blueprint("docs", __name__)

_SWAGGER_UI = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
_FOLDER = STATIC / "docs"
_OURS = ("page.css", "start.js")
_PRIVATE = "private, max-age=300"


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
    # Swagger UI has styles in its markup, and images in its style sheet.
    return cacheable(html(_page(), style_src="'self' 'unsafe-inline'", img_src="'self' data:"))


@page.get("/<name>")
@public
def asset(name: str) -> Response:
    """Return one of the files that the page loads."""
    return _files.response(name)


@cache
def _page() -> str:
    return (_FOLDER / "page.html").read_text()


def _find_files() -> dict[str, Path]:
    """Return the files by their names below ``/docs/``."""
    swagger_ui = Path(str(files("flask_swagger_ui"))) / "dist"
    return {name: swagger_ui / name for name in _SWAGGER_UI} | {name: _FOLDER / name for name in _OURS}


_files = PageFiles(_find_files)
