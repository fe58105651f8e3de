"""The registry of permissions, with names of the form ``resource:action``. An application can add its own."""

from authapp.registry import Registry

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
