"""The limits on administrators: nobody gives or manages more than they hold, and one administrator always remains."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import func, select

from authapp.context import Operator, RequestContext
from authapp.database.session import db
from authapp.domain.roles.permissions import Permission
from authapp.errors import LastAdmin, PermissionDenied, TokenRevoked
from authapp.models import Role, Session, User, UserRole, UserStatus
from authapp.models.role import ADMIN
from authapp.models.session import is_live


@dataclass(frozen=True)
class GrantPolicy:
    """What an administrator or operator holds, and so may give to others and manage in them."""

    is_admin: bool = False
    roles: frozenset[str] = field(default_factory=frozenset)
    permissions: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, context: RequestContext) -> "GrantPolicy":
        """Return the policy for whoever acts in ``context``, true until the end of the open transaction.

        What the guard found may be a password's hash or a lock ago: a principal who was disabled or logged out since,
        or lost a role, gives nothing any more. The account is locked as ``users.locked`` does, but shared.

        Raises ``TokenRevoked`` when the principal may do nothing at all any more.
        """
        if isinstance(context.principal, Operator):
            return cls(is_admin=True)
        if context.principal is None:
            return cls()
        user_id, session_id = context.principal.id, context.principal.session_id
        lock_in_order(user_id)
        live = select(User.id).where(User.id == user_id, User.status == UserStatus.ACTIVE)
        if session_id is not None:
            live = live.join(Session, Session.user_id == User.id).where(Session.id == session_id, is_live())
        if db.session.scalar(live) is None:
            raise TokenRevoked
        roles = select(Role.name, Role.permissions).join(UserRole, UserRole.role_name == Role.name)
        by_role = {row.name: row.permissions for row in db.session.execute(roles.where(UserRole.user_id == user_id))}
        permissions = (permission for granted in by_role.values() for permission in granted)
        return cls(ADMIN in by_role, frozenset(by_role), frozenset(permissions))

    def require_permissions(self, permissions: Iterable[str]) -> None:
        """Raise ``PermissionDenied`` when one of ``permissions`` is not held."""
        if not self.is_admin and (lacking := sorted(set(permissions) - self.permissions)):
            raise PermissionDenied(f"You do not hold {', '.join(lacking)} yourself.")

    def require_can_manage(self, user: User) -> None:
        """Raise ``PermissionDenied`` when ``user`` may do something that is not held.

        Without this, whoever may write users could take an administrator's account.
        """
        self._require_cover(user.roles)

    def require_can_grant(self, roles: Collection[str]) -> None:
        """Raise ``PermissionDenied`` when one of ``roles`` may not be given away.

        Without this, whoever may write users could make themselves an administrator. A role may open doors elsewhere
        by its name alone (forward auth, introspection), whatever it permits here: it must be held, unless its giver
        may make roles.
        """
        self._require_cover(roles)
        if self.is_admin or Permission.ROLES_WRITE in self.permissions:
            return
        if lacking := sorted(set(roles) - self.roles):
            raise PermissionDenied(f"You do not have the role {', '.join(lacking)} yourself.")

    def _require_cover(self, roles: Collection[str]) -> None:
        if self.is_admin or not roles:
            return
        if ADMIN in roles:
            raise PermissionDenied("Only an administrator may do this to an administrator.")
        self.require_permissions(db.session.scalars(select(func.unnest(Role.permissions)).where(Role.name.in_(roles))))


def lock_in_order(principal_id: UUID, target: UUID | None = None) -> None:
    """Lock the account of a principal, shared, and the one that is to change, each for the open transaction.

    Two administrators who change each other at the same moment would else wait for each other for ever.
    """
    for each in sorted({principal_id, target or principal_id}):
        shared = each != target
        db.session.execute(select(User.id).where(User.id == each).with_for_update(read=shared, key_share=not shared))


def keep_an_admin(user: User) -> None:
    """Raise ``LastAdmin`` when ``user`` is the only active administrator, and is about to be one no more.

    The role's row is locked: of two administrators who remove each other at the same moment one is refused.
    """
    if ADMIN not in user.roles or user.status != UserStatus.ACTIVE:
        return
    db.session.execute(select(Role.name).where(Role.name == ADMIN).with_for_update(key_share=True))
    another = (
        select(User.id)
        .join(UserRole, UserRole.user_id == User.id)
        .where(UserRole.role_name == ADMIN, User.status == UserStatus.ACTIVE, User.id != user.id)
        .limit(1)
    )
    if db.session.scalar(another) is None:
        raise LastAdmin
