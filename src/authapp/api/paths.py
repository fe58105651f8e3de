"""URL paths."""

from typing import Any
from uuid import UUID

from flask import request

BASE_PATH = "/api/v1"

LOCATION: dict[str, Any] = {"Location": {"schema": {"type": "string"}, "required": True}}
"""The OpenAPI description of the ``Location`` header, which holds the path of a created resource."""


def public_path(path: str) -> str:
    """Return ``path`` as clients know it: with the prefix, if a proxy serves this application below one."""
    return f"{request.script_root}{path}"


def user_path(user_id: UUID) -> str:
    """Return the URL path of a user."""
    return public_path(f"{BASE_PATH}/users/{user_id}")
