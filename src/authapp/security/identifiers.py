"""The one door to identifiers."""

from uuid import UUID, uuid4

from uuid_utils.compat import uuid7


def time_ordered() -> UUID:
    """Return a UUID version 7 (RFC 9562): rows made one after another lie side by side in an index."""
    return uuid7()


def unguessable() -> UUID:
    """Return a UUID version 4: 122 random bits, which tell nothing of when it was made."""
    return uuid4()
