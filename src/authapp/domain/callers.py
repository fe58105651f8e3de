"""Who is calling, and whether they may: the one statement of every protected request."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Text, and_, bindparam, func, or_, select
from sqlalchemy.engine import Row

from authapp.domain.permissions import Permission
from authapp.models import BlocklistedToken, Role, Session, User, UserRole, UserStatus
from authapp.models.role import ADMIN


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The user behind a token, and the token's session.

    ``revoked`` tells that the token was good once: it is on the blocklist, its session has ended, or its user is
    disabled.
    """

    id: UUID
    username: str
    email: str
    status: str
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None
    session_id: UUID
    revoked: bool
    roles: list[str]
    permissions: list[str]

    def may(self, permission: Permission) -> bool:
        """Tell whether one of the caller's roles holds ``permission``."""
        return ADMIN in self.roles or permission in self.permissions

    @classmethod
    def from_row(cls, row: Row[Any]) -> "Caller":
        """Read a row of ``CALLER``."""
        return cls(**row._mapping)


_ROLES = select(UserRole.role_name).where(UserRole.user_id == User.id).order_by(UserRole.role_name)
_PERMISSIONS = (
    select(func.unnest(Role.permissions))
    .join(UserRole, UserRole.role_name == Role.name)
    .where(UserRole.user_id == User.id)
)

CALLER = (
    select(
        User.id,
        User.username,
        User.email,
        User.status,
        User.created_at,
        User.updated_at,
        User.last_login_at,
        Session.id.label("session_id"),
        or_(
            BlocklistedToken.jti.is_not(None),
            Session.ended_at.is_not(None),
            User.status != UserStatus.ACTIVE,
        ).label("revoked"),
        func.array(_ROLES.scalar_subquery(), type_=ARRAY(Text)).label("roles"),
        func.array(_PERMISSIONS.scalar_subquery(), type_=ARRAY(Text)).label("permissions"),
    )
    .join(Session, and_(Session.user_id == User.id, Session.id == bindparam("session_id")))
    .outerjoin(
        BlocklistedToken,
        and_(BlocklistedToken.user_id == User.id, BlocklistedToken.jti == bindparam("jti")),
    )
    .where(User.id == bindparam("user_id"))
)
"""Look-ups by primary key alone, each led by the user id: one round trip, on one shard.

What the roles allow is asked with it, so that a role taken away is gone on the next request.
"""
