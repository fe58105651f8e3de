"""Responses with a JSON body or without a body, and responses that may be cached."""

import json
from collections.abc import Mapping
from typing import Any

from flask import Response

CACHEABLE = "public, max-age=300"


def no_content() -> Response:
    """Return a 204 response, without a body and without a ``Content-Type``."""
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


def as_json(value: Any, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON response. ``value`` must consist of plain JSON values, such as a schema dumps."""
    return Response(f"{_encode(value)}\n", status, headers, content_type="application/json")


def cacheable(response: Response) -> Response:
    """Let browsers and proxies keep the response for five minutes, and return it."""
    response.headers["Cache-Control"] = CACHEABLE
    return response


_encode = json.JSONEncoder(separators=(",", ":")).encode
