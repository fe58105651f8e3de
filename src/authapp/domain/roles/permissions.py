"""The registry of permissions, with names of the form ``resource:action``. An application can add its own."""

from collections.abc import Collection, Iterable, Mapping

from authapp.errors import FieldError
from authapp.models.role import ADMIN
from authapp.registry import Registry

SCOPE_MAX_LENGTH = 1_024
"""The most characters of a scope in a token, which is sent with every request."""

permissions: Registry[str] = Registry(
    "permission", r"[a-z][a-z0-9_-]{0,62}:[a-z][a-z0-9_-]{0,62}", "use resource:action, such as notes:read."
)
"""For each permission, a sentence that says what it allows. Register your own before ``create_app()``."""


class Permission:
    """The permissions of authapp itself."""

    USERS_READ = permissions.register("users:read", "Read everybody's account.")
    USERS_WRITE = permissions.register("users:write", "Create, change, disable and delete accounts.")
    ROLES_READ = permissions.register("roles:read", "Read the roles.")
    ROLES_WRITE = permissions.register("roles:write", "Create, change and delete roles.")
    AUDIT_READ = permissions.register("audit:read", "Read the audit trail.")
    TOKENS_INTROSPECT = permissions.register("tokens:introspect", "Ask about the tokens of others (RFC 7662).")


def unknown_permissions(names: Iterable[str]) -> list[FieldError]:
    """Return an error for each name in the field ``permissions`` that is not a registered permission."""
    known = ", ".join(sorted(permissions))
    return [
        FieldError(f"#/permissions/{index}", f"There is no such permission; there are: {known}.")
        for index, name in enumerate(names)
        if name not in permissions
    ]


def scope_of(names: Iterable[str]) -> str:
    """Return permissions as a scope: sorted, with blanks between them (RFC 6749, section 3.3)."""
    return " ".join(sorted(names))


def role_permissions(by_role: Mapping[str, Collection[str]]) -> frozenset[str]:
    """Return the permissions of roles, from those of each by its name. ``admin`` has every registered one."""
    if ADMIN in by_role:
        return frozenset(permissions)
    return frozenset(name for names in by_role.values() for name in names)
