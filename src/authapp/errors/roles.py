"""Refusals that concern roles and their permissions."""

from authapp.errors.refusals import Conflict, Forbidden


class PermissionDenied(Forbidden):
    """You have no role with a permission that this request needs.

    The route may need a permission that you do not have. Or the request would grant a role, or change an account, that
    has permissions you do not have; or grant a role that you neither have nor may create.
    Ask an administrator for a role. It takes effect on the next request, with the same token.
    """

    code = "permission_denied"
    title = "You may not do this."


class RoleTaken(Conflict):
    """A role with this name already exists, or was deleted and is still being removed from its many holders.

    Change that role, or choose another name. The name of a deleted role is free again after `flask tokens prune`.
    """

    code = "role_taken"
    title = "This name of a role is taken."


class RoleProtected(Conflict):
    """The role is built in and cannot be changed or deleted.

    Create another role with the permissions that you need.
    """

    code = "role_protected"
    title = "This role is built in."


class LastAdmin(Conflict):
    """The change would leave no active account with the role `admin`.

    Grant the role to another active account first.
    """

    code = "last_admin"
    title = "This is the last administrator."
