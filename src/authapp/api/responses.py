"""Responses with a JSON body, or without a body."""

import json
from collections.abc import Mapping
from typing import Any

from flask import Response


def no_content() -> Response:
    """Return a 204, which has neither a body nor a type of one."""
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


def as_json(value: Any, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON response of ``value``, which must be plain JSON values, as a schema dumps them."""
    return Response(f"{_encode(value)}\n", status, headers, content_type="application/json")


_encode = json.JSONEncoder(separators=(",", ":")).encode
