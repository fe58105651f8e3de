"""Roles: named sets of permissions."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from authapp.context import RequestContext
from authapp.database.session import db, transaction
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.roles.grants import GrantPolicy
from authapp.domain.roles.permissions import permissions as registered
from authapp.errors import FieldError, ResourceNotFound, RoleProtected, RoleTaken, ValidationFailed
from authapp.models import Role, UserRole
from authapp.models.role import ADMIN, checked_role_description, checked_role_name, is_role_name


@dataclass(frozen=True)
class RoleView:
    """A role with its permissions. The built-in role ``admin`` has all permissions."""

    name: str
    description: str
    permissions: list[str]

    @classmethod
    def of(cls, role: Role) -> "RoleView":
        """Return the view of ``role``."""
        permissions = list(registered) if role.name == ADMIN else role.permissions
        return cls(role.name, role.description, sorted(permissions))


class Roles:
    """The use cases of roles.

    To create, change or delete a role, the principal must have all its permissions; otherwise ``PermissionDenied``.
    """

    def all(self) -> list[RoleView]:
        """Return all roles, sorted by name."""
        return [RoleView.of(role) for role in db.session.scalars(select(Role).order_by(Role.name))]

    def create(
        self, name: str, permissions: Collection[str] = (), description: str = "", *, context: RequestContext
    ) -> RoleView:
        """Create a role. Raises ``RoleTaken`` or ``ValidationFailed``."""
        wanted = _checked(name, permissions, description)
        role = Role(name=name, description=description, permissions=wanted)
        with transaction() as session:
            GrantPolicy.of(context).require_permissions(wanted)
            session.add(role)
            try:
                session.flush()
            except IntegrityError:
                raise RoleTaken from None
            audit.record(EventType.ROLE_CREATED, context=context, role=name, permissions=wanted)
        return RoleView.of(role)

    def change(
        self,
        name: str,
        permissions: Collection[str] | None = None,
        description: str | None = None,
        *,
        context: RequestContext,
    ) -> RoleView:
        """Change a role. The change takes effect on the next request of its holders.

        Raises ``RoleProtected``, ``ResourceNotFound`` or ``ValidationFailed``.
        """
        with transaction():
            role = _locked(name, context)
            wanted = _checked(name, permissions or (), description or "")
            changes: dict[str, Any] = {}
            if permissions is not None:
                GrantPolicy.of(context).require_permissions(wanted)
                changes["permissions"] = wanted
            if description is not None:
                changes["description"] = description
            for field, value in changes.items():
                setattr(role, field, value)
            if changes:
                audit.record(EventType.ROLE_CHANGED, context=context, role=name, **changes)
        return RoleView.of(role)

    def delete(self, name: str, *, context: RequestContext) -> None:
        """Delete a role, and revoke it from all accounts. Raises ``RoleProtected`` or ``ResourceNotFound``.

        An event is recorded for each account that had the role, so that the trail of an account shows why it lost a
        permission. The role cannot be granted meanwhile, because that needs its row, which is locked.
        """
        with transaction() as session:
            role = _locked(name, context)
            taken = delete(UserRole).where(UserRole.role_name == name).returning(UserRole.user_id).cte("taken")
            holders = audit.record_many(EventType.ROLE_REVOKED, taken.c.user_id, context=context, role=name)
            session.delete(role)
            audit.record(EventType.ROLE_DELETED, context=context, role=name, holders=holders)


def check_exists(name: str) -> None:
    """Raise ``ValidationFailed``, as granting the role does, unless the role exists."""
    if not is_role_name(name) or db.session.get(Role, name) is None:
        raise ValidationFailed(field_errors=[FieldError("#/roles", "There is no such role.")])


def _locked(name: str, context: RequestContext) -> Role:
    if name == ADMIN:
        raise RoleProtected
    # The principal's account is locked before the role, in the same order as when a role is granted.
    policy = GrantPolicy.of(context)
    role = _named(name)
    if role is None:
        raise ResourceNotFound(f"There is no role {name[:64]!r}.")
    policy.require_permissions(role.permissions)
    return role


def _named(name: str) -> Role | None:
    # An invalid name is not looked up, because PostgreSQL does not accept a NUL in a parameter.
    if not is_role_name(name):
        return None
    role: Role | None = db.session.scalar(select(Role).where(Role.name == name).with_for_update())
    return role


def _checked(name: str, permissions: Collection[str], description: str) -> list[str]:
    field_errors = []
    for field, check, value in (
        ("name", checked_role_name, name),
        ("description", checked_role_description, description),
    ):
        try:
            check(value)
        except ValueError as error:
            field_errors.append(FieldError(f"#/{field}", str(error)))
    known = ", ".join(sorted(registered))
    field_errors += [
        FieldError(f"#/permissions/{index}", f"There is no such permission; there are: {known}.")
        for index, permission in enumerate(permissions)
        if permission not in registered
    ]
    if field_errors:
        raise ValidationFailed(field_errors=field_errors[:20])
    return sorted({str(permission) for permission in permissions})
