"""The one door to identifiers."""

from functools import lru_cache
from uuid import UUID, uuid4

import uuid_utils
from uuid_utils.compat import uuid7


def time_ordered() -> UUID:
    """Return a UUID version 7 (RFC 9562): rows made one after another lie side by side in an index."""
    return uuid7()


def unguessable() -> UUID:
    """Return a UUID version 4: 122 random bits, which tell nothing of when it was made."""
    return uuid4()


def random_text() -> str:
    """Return a UUID version 4 as text, for what is never stored as a UUID."""
    return str(uuid_utils.uuid4())


@lru_cache(maxsize=4096)
def from_text(text: str) -> UUID:
    """Return the UUID that ``text`` names; the same users ask again and again. Raises ``ValueError``."""
    return UUID(text)
