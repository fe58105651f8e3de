"""Roles: named sets of permissions."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from authapp import clock
from authapp.context import RequestContext
from authapp.database.session import db, transaction
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.pages import Listing, Page, Pages
from authapp.domain.roles import deletion
from authapp.domain.roles.grants import GrantPolicy, no_such_role
from authapp.domain.roles.permissions import permissions as registered
from authapp.domain.roles.permissions import unknown_permissions
from authapp.errors import FieldError, ResourceNotFound, RoleProtected, RoleTaken, ValidationFailed
from authapp.models import Role
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

    def __init__(self, pages: Pages, require_recent: Callable[[RequestContext], None]) -> None:
        """Take what asks the principal of a context for a recent login."""
        self._pages = pages
        self._require_recent = require_recent

    def page(self, limit: int, cursor: str | None = None) -> Page[RoleView]:
        """Return a page of the roles, sorted by name. Raises ``ValidationFailed`` for a cursor not from this list.

        A page may be short although it has a cursor to the next one: rows of deleted roles are read and left out.
        """
        listing = Listing("roles", {}, {"name": str})
        rows = select(Role).order_by(Role.name).limit(limit + 1)
        if after := self._pages.position(listing, cursor):
            rows = rows.where(Role.name > after[0])
        roles = db.session.scalars(rows).all()
        next_cursor = self._pages.cursor(listing, [roles[limit - 1].name]) if len(roles) > limit else None
        return Page([RoleView.of(role) for role in roles[:limit] if role.is_live], next_cursor)

    def iterate_all(self) -> Iterator[RoleView]:
        """Yield all roles, sorted by name, without loading them all into memory."""
        live = select(Role).where(Role.is_live).order_by(Role.name)
        yield from map(RoleView.of, db.session.scalars(live.execution_options(yield_per=500)))

    def create(
        self, name: str, permissions: Collection[str] = (), description: str = "", *, context: RequestContext
    ) -> RoleView:
        """Create a role. Raises ``RoleTaken`` or ``ValidationFailed``.

        The name of a deleted role is taken until all rows of its holders have been removed. Each try removes some, and
        ``flask tokens prune`` all.
        """
        wanted = _checked(name, permissions, description)
        role = Role(name=name, description=description, permissions=wanted)
        with transaction():
            # Also checked before: who may not create the role is not to remove anything.
            GrantPolicy.of(context).require_permissions(wanted)
        deletion.remove_deleted_role(name)
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

        Other permissions need a recent login of the principal, like a role that is granted.

        Raises ``RoleProtected``, ``ResourceNotFound``, ``ValidationFailed``, or ``StepUpRequired``.
        """
        with transaction():
            role = _lock_for_change(name, context)
            wanted = _checked(name, permissions or (), description or "")
            changes: dict[str, Any] = {}
            if permissions is not None:
                GrantPolicy.of(context).require_permissions(wanted)
                if wanted != sorted(role.permissions):
                    self._require_recent(context)
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

        One event is recorded, however many had the role, with their number up to ``deletion.REMOVED_AT_ONCE``. The role
        cannot be granted meanwhile, because that needs its row, which is locked.
        """
        with transaction():
            holders = deletion.delete_role(_lock_for_change(name, context), clock.now())
            more: dict[str, Any] = {"more_holders": True} if holders == deletion.REMOVED_AT_ONCE else {}
            audit.record(EventType.ROLE_DELETED, context=context, role=name, holders=holders, **more)


def check_exists(name: str) -> None:
    """Raise ``ValidationFailed``, as granting the role does, unless the role exists."""
    live = select(Role.name).where(Role.name == name, Role.is_live)
    if not is_role_name(name) or db.session.scalar(live) is None:
        raise no_such_role()


def _lock_for_change(name: str, context: RequestContext) -> Role:
    if name == ADMIN:
        raise RoleProtected
    # The principal's account is locked before the role, in the same order as when a role is granted.
    policy = GrantPolicy.of(context)
    role = _lock_live_role(name)
    if role is None:
        raise ResourceNotFound(f"There is no role {name[:64]!r}.")
    policy.require_permissions(role.permissions)
    return role


def _lock_live_role(name: str) -> Role | None:
    # An invalid name is not looked up, because PostgreSQL does not accept a NUL in a parameter.
    if not is_role_name(name):
        return None
    role: Role | None = db.session.scalar(select(Role).where(Role.name == name, Role.is_live).with_for_update())
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
    field_errors += unknown_permissions(permissions)
    if field_errors:
        raise ValidationFailed(field_errors=field_errors[:20])
    return sorted({str(permission) for permission in permissions})
