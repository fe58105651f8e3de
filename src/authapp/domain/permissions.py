"""What somebody may do."""

from enum import StrEnum


class Permission(StrEnum):
    """A ``resource:action`` that a role may hold."""

    TOKENS_INTROSPECT = "tokens:introspect"
