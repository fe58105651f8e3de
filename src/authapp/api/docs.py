"""The API documentation: ``/openapi.json`` for machines, and the interactive page ``/docs`` for people."""

from functools import cache
from importlib.resources import files

from flask import Blueprint, Response, current_app, request, send_from_directory

from authapp.api.guards import public
from authapp.api.responses import cacheable
from authapp.domain.services import EXTENSION
from authapp.errors import ResourceNotFound

document = Blueprint("document", __name__)
page = Blueprint("docs", __name__)

_SERVED = frozenset({"swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"})
_PRIVATE = "private, max-age=300"

# Everything is loaded from this server and inline scripts are forbidden, so injected markup cannot run other code.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>authapp API</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  tryItOutEnabled: true,
});
"""


@document.get("/openapi.json")
@public
def openapi() -> Response:
    """Return the OpenAPI document, whose ``servers`` have the path prefix of a trusted proxy."""
    document = current_app.extensions[EXTENSION].openapi.json_below(request.script_root)
    response = cacheable(Response(document, content_type="application/json"))
    # A cache between that proxy and this server would give it to clients with another prefix; some ignore Vary.
    response.headers["Vary"] = "X-Forwarded-Prefix"
    if request.script_root:
        response.headers["Cache-Control"] = _PRIVATE
    return response


@page.get("")
@public
def show_page() -> Response:
    """Return the page of the interactive docs."""
    response = cacheable(Response(_PAGE, content_type="text/html; charset=utf-8"))
    response.headers["Content-Security-Policy"] = _POLICY
    return response


@page.get("/<name>")
@public
def asset(name: str) -> Response:
    """Return one of the files that the page loads."""
    if name == "start.js":
        return cacheable(Response(_START, content_type="text/javascript; charset=utf-8"))
    if name not in _SERVED:
        raise ResourceNotFound
    return cacheable(send_from_directory(_assets(), name))


@cache
def _assets() -> str:
    return str(files("flask_swagger_ui") / "dist")
