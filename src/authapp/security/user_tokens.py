"""Opaque tokens that name their user: the base64url of the user's id and 256 random bits.

A token contains the id so that a lookup needs only the database shard of that user. Only its SHA-256 is stored.
"""

from hashlib import sha256
from secrets import token_bytes
from uuid import UUID

from authapp.security import base64url

ID_BYTES = 16
SECRET_BYTES = 32


def new_token(user_id: UUID) -> tuple[str, bytes]:
    """Return a new token of a user, and its SHA-256."""
    data = user_id.bytes + token_bytes(SECRET_BYTES)
    return base64url.encode(data), sha256(data).digest()


def read_token(token: str) -> tuple[UUID, bytes] | None:
    """Return whose token it would be, and its SHA-256; ``None`` for a text that is no token."""
    try:
        data = base64url.decode(token)
    except ValueError:
        return None
    if len(data) != ID_BYTES + SECRET_BYTES:
        return None
    return UUID(bytes=data[:ID_BYTES]), sha256(data).digest()
