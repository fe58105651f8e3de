"""URL paths."""

from typing import Any
from uuid import UUID

BASE_PATH = "/api/v1"

LOCATION: dict[str, Any] = {"Location": {"schema": {"type": "string"}, "required": True}}
"""The OpenAPI description of the ``Location`` header, which holds the path of a created resource."""


def user_path(user_id: UUID) -> str:
    """Return the URL path of a user."""
    return f"{BASE_PATH}/users/{user_id}"
