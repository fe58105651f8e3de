"""What bounds those who administer: nobody gives away or overrules more than they hold, and one admin always stays."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import func, select

from authapp.domain.origins import Origin
from authapp.domain.permissions import Permission
from authapp.errors import LastAdmin, PermissionDenied, TokenRevoked
from authapp.extensions import db
from authapp.models import Role, Session, User, UserRole, UserStatus
from authapp.models.role import ADMIN


@dataclass(frozen=True)
class Powers:
    """What somebody may give away, and whom they may overrule."""

    everything: bool = False
    roles: frozenset[str] = field(default_factory=frozenset)
    permissions: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, by: Origin) -> "Powers":
        """Return what ``by`` may do now, within the transaction that is open, until whose end it stays so.

        What the guard found at the door may be a password's hash or a lock ago: whoever was disabled or logged out
        since, or lost a role, gives nothing away any more. The account is locked as ``locked`` does, but shared.

        Raises ``TokenRevoked`` when the caller may do nothing at all any more.
        """
        if by.operator:
            return cls(everything=True)
        if by.caller is None:
            return cls()
        lock_in_order(by.caller.id)
        live = select(Session.id).join(User, User.id == Session.user_id)
        mine = (User.id == by.caller.id, Session.id == by.caller.session_id)
        if db.session.scalar(live.where(*mine, User.status == UserStatus.ACTIVE, Session.ended_at.is_(None))) is None:
            raise TokenRevoked
        held = select(Role.name, Role.permissions).join(UserRole, UserRole.role_name == Role.name)
        rows = db.session.execute(held.where(UserRole.user_id == by.caller.id))
        roles = {row.name: row.permissions for row in rows}
        permissions = (permission for granted in roles.values() for permission in granted)
        return cls(ADMIN in roles, frozenset(roles), frozenset(permissions))

    def check_hold(self, permissions: Iterable[str]) -> None:
        """Raise ``PermissionDenied`` when one of ``permissions`` is not held."""
        if not self.everything and (lacking := sorted(set(permissions) - self.permissions)):
            raise PermissionDenied(f"You do not hold {', '.join(lacking)} yourself.")

    def check_may_overrule(self, user: User) -> None:
        """Raise ``PermissionDenied`` when ``user`` may do something that is not held.

        Without this, whoever may write users could take an administrator's account.
        """
        self._check_cover(user.roles)

    def check_may_grant(self, roles: Collection[str]) -> None:
        """Raise ``PermissionDenied`` when one of ``roles`` may not be given away.

        Without this, whoever may write users could make themselves an administrator. A role may open doors elsewhere
        by its name alone (forward auth, introspection), whatever it permits here: it must be held, unless its giver
        may make roles.
        """
        self._check_cover(roles)
        if self.everything or Permission.ROLES_WRITE in self.permissions:
            return
        if lacking := sorted(set(roles) - self.roles):
            raise PermissionDenied(f"You do not have the role {', '.join(lacking)} yourself.")

    def _check_cover(self, roles: Collection[str]) -> None:
        if self.everything or not roles:
            return
        if ADMIN in roles:
            raise PermissionDenied("Only an administrator may do this to an administrator.")
        self.check_hold(db.session.scalars(select(func.unnest(Role.permissions)).where(Role.name.in_(roles))))


def check_holds(by: Origin, permissions: Iterable[str]) -> None:
    """Raise ``PermissionDenied`` when ``by`` does not hold one of ``permissions``, or what ``Powers.of`` raises."""
    Powers.of(by).check_hold(permissions)


def lock_in_order(caller: UUID, target: UUID | None = None) -> None:
    """Lock the account of a caller, shared, and the one that is to change, each for the transaction that is open.

    Two administrators who change each other at the same moment would else wait for each other for ever.
    """
    for each in sorted({caller, target or caller}):
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
