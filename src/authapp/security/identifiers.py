"""All identifiers are generated here."""

from functools import lru_cache
from uuid import UUID, uuid4

import uuid_utils
from uuid_utils.compat import uuid7


def time_ordered() -> UUID:
    """Return a UUID version 7 (RFC 9562), so that rows created one after another are neighbours in an index."""
    return uuid7()


def unguessable() -> UUID:
    """Return a UUID version 4: 122 random bits, which do not reveal when it was created."""
    return uuid4()


def random_text() -> str:
    """Return a UUID version 4 as text, for ids that are not stored in a UUID column."""
    return str(uuid_utils.uuid4())


@lru_cache(maxsize=4096)
def from_text(text: str) -> UUID:
    """Return ``text`` as a UUID. Raises ``ValueError``. Cached, because the same users send many requests."""
    return UUID(text)
