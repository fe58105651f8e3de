"""Where things are."""

from uuid import UUID

BASE_PATH = "/api/v1"


def user_path(user_id: UUID) -> str:
    """Return the address of a user."""
    return f"{BASE_PATH}/users/{user_id}"
