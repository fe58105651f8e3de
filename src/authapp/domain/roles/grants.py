"""The limits on administrators: they cannot grant or manage more than they have, and one must always remain."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import and_, func, select

from authapp.context import Operator, Principal, RequestContext
from authapp.database.session import db
from authapp.domain.roles.permissions import Permission, role_permissions
from authapp.errors import FieldError, LastAdmin, PermissionDenied, TokenRevoked, ValidationFailed
from authapp.models import ApiKey, Role, Session, User, UserKind, UserRole, UserStatus
from authapp.models.role import ADMIN
from authapp.models.session import is_live


@dataclass(frozen=True)
class GrantPolicy:
    """The roles and permissions that the acting principal has, and so may grant and manage."""

    is_admin: bool = False
    roles: frozenset[str] = field(default_factory=frozenset)
    permissions: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, context: RequestContext) -> "GrantPolicy":
        """Return the policy of the principal in ``context``, valid until the end of the open transaction.

        It is read again here because the guard's check may be outdated: meanwhile a password was hashed or a lock was
        waited for, and the principal may have been disabled or logged out, or lost a role. The principal's account is
        locked as in ``rows.lock_account``, but with a shared lock.

        Raises ``TokenRevoked`` if the principal has been disabled or logged out.
        """
        if isinstance(context.principal, Operator):
            return cls(is_admin=True)
        if context.principal is None:
            return cls()
        user_id = context.principal.id
        lock_in_order(user_id)
        require_live(context)
        query = select(Role.name, Role.permissions).join(UserRole, UserRole.role_name == Role.name)
        by_role = {row.name: row.permissions for row in db.session.execute(query.where(UserRole.user_id == user_id))}
        role_based = role_permissions(by_role)
        # A credential such as an API key may be allowed less than its user. Then it grants no roles of theirs either.
        if not role_based <= context.principal.permissions:
            return cls(permissions=role_based & context.principal.permissions)
        return cls(ADMIN in by_role, frozenset(by_role), role_based)

    def require_permissions(self, permissions: Iterable[str]) -> None:
        """Raise ``PermissionDenied`` unless the principal has all of ``permissions``."""
        if not self.is_admin and (lacking := sorted(set(permissions) - self.permissions)):
            raise PermissionDenied(f"You do not hold {', '.join(lacking)} yourself.")

    def require_can_manage(self, user: User) -> None:
        """Raise ``PermissionDenied`` if ``user`` has a permission that the principal does not have.

        Otherwise a principal with ``users:write`` could take over an administrator's account.
        """
        self._require_cover(user.roles)

    def lock_grantable_roles(self, roles: Collection[str]) -> None:
        """Lock ``roles`` against deletion. Raises ``PermissionDenied`` unless the principal may grant all of them.

        Otherwise a principal with ``users:write`` could make themselves an administrator. Other services may give
        access by the name of a role alone (forward auth, introspection), whatever permissions it has here. So the
        principal must have the role, or the permission ``roles:write``.

        Raises ``ValidationFailed`` if a role does not exist.
        """
        self._require_cover(roles)
        may_grant_any = self.is_admin or Permission.ROLES_WRITE in self.permissions
        if not may_grant_any and (lacking := sorted(set(roles) - self.roles)):
            raise PermissionDenied(f"You do not have the role {', '.join(lacking)} yourself.")
        _lock_roles(roles)

    def _require_cover(self, roles: Collection[str]) -> None:
        if self.is_admin or not roles:
            return
        if ADMIN in roles:
            raise PermissionDenied("Only an administrator may do this to an administrator.")
        self.require_permissions(db.session.scalars(select(func.unnest(Role.permissions)).where(Role.name.in_(roles))))


def no_such_role() -> ValidationFailed:
    """Return the refusal of a role that does not exist."""
    return ValidationFailed(field_errors=[FieldError("#/roles", "There is no such role.")])


def _lock_roles(names: Collection[str]) -> None:
    """Lock roles against their deletion, in the open transaction. Raises ``ValidationFailed`` if one does not exist."""
    live = select(Role.name).where(Role.name.in_(names), Role.is_live)
    if names and set(db.session.scalars(live.with_for_update(read=True, key_share=True))) != set(names):
        raise no_such_role()


def require_live(context: RequestContext) -> None:
    """Raise ``TokenRevoked`` if the principal in ``context`` has been disabled or logged out since the guard's check.

    So it is if its API key was deleted.

    Call it when the principal's account is locked, so that the answer holds until the end of the open transaction.
    """
    if not isinstance(context.principal, Principal):
        return
    user_id, session_id, key_id = context.principal.id, context.principal.session_id, context.principal.api_key_id
    live = select(User.id).where(User.id == user_id, User.status == UserStatus.ACTIVE)
    if session_id is not None:
        live = live.join(Session, Session.user_id == User.id).where(Session.id == session_id, is_live())
    if key_id is not None:
        live = live.join(ApiKey, ApiKey.user_id == User.id).where(ApiKey.id == key_id)
    if db.session.scalar(live) is None:
        raise TokenRevoked


def lock_in_order(principal_id: UUID, target: UUID | None = None) -> None:
    """Lock the principal's account (shared) and the account to change, in the order of their ids.

    Without an order, two administrators who change each other at the same time would deadlock.
    """
    for each in sorted({principal_id, target or principal_id}):
        shared = each != target
        db.session.execute(select(User.id).where(User.id == each).with_for_update(read=shared, key_share=not shared))


def require_another_admin(user: User) -> None:
    """Raise ``LastAdmin`` if ``user`` is the only active administrator who can log in. Call it before removing one.

    A service account is none: it cannot log in, and its keys may be lost.

    The row of the role is locked, so that if two administrators remove each other at once, one is refused.
    """
    if ADMIN not in user.roles or user.status != UserStatus.ACTIVE or user.kind != UserKind.PERSON:
        return
    db.session.execute(select(Role.name).where(Role.name == ADMIN).with_for_update(key_share=True))
    is_another = and_(User.id != user.id, User.status == UserStatus.ACTIVE, User.kind == UserKind.PERSON)
    holders = select(User.id).join(UserRole, UserRole.user_id == User.id).where(UserRole.role_name == ADMIN)
    another = holders.where(is_another).limit(1)
    if db.session.scalar(another) is None:
        raise LastAdmin
