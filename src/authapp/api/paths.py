"""Where things are."""

from typing import Any
from uuid import UUID

BASE_PATH = "/api/v1"

LOCATION: dict[str, Any] = {"Location": {"schema": {"type": "string"}, "required": True}}
"""How the contract describes the header that leads to what was created."""


def user_path(user_id: UUID) -> str:
    """Return the address of a user."""
    return f"{BASE_PATH}/users/{user_id}"
