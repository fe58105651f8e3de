"""What somebody may do."""

from enum import StrEnum


class Permission(StrEnum):
    """A ``resource:action`` that a role may hold. A blueprint of yours adds a line for each of its own."""

    USERS_READ = "users:read"
    USERS_WRITE = "users:write"
    ROLES_READ = "roles:read"
    ROLES_WRITE = "roles:write"
    AUDIT_READ = "audit:read"
    TOKENS_INTROSPECT = "tokens:introspect"
