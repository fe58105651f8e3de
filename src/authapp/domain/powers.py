"""What bounds those who administer: nobody gives away or overrules more than they hold, and one admin always stays."""

from collections.abc import Collection, Iterable

from sqlalchemy import func, select

from authapp.domain.origins import Origin
from authapp.errors import LastAdmin, PermissionDenied
from authapp.extensions import db
from authapp.models import Role, User, UserRole, UserStatus
from authapp.models.role import ADMIN


def check_may_grant(by: Origin, roles: Collection[str]) -> None:
    """Raise ``PermissionDenied`` when ``roles`` together may do something that the caller may not.

    Without this, whoever may write users could make themselves an administrator. The command line may do everything.
    """
    if by.caller is None or ADMIN in by.caller.roles or not roles:
        return
    if ADMIN in roles:
        raise PermissionDenied("Only an administrator may do this to an administrator.")
    held = db.session.scalars(select(func.unnest(Role.permissions)).where(Role.name.in_(roles)))
    check_holds(by, held)


def check_holds(by: Origin, permissions: Iterable[str]) -> None:
    """Raise ``PermissionDenied`` when the caller lacks one of ``permissions``."""
    if by.caller is None or ADMIN in by.caller.roles:
        return
    lacking = sorted(set(permissions) - set(by.caller.permissions))
    if lacking:
        raise PermissionDenied(f"You do not hold {', '.join(lacking)} yourself.")


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
