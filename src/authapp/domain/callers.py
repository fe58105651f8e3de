"""Who is calling, and whether they may: the one statement of every protected request."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, bindparam, func, or_, select

from authapp.database.prepared import Prepared
from authapp.domain.permissions import Permission
from authapp.models import BlocklistedToken, Role, Session, User, UserRole, UserStatus
from authapp.models.role import ADMIN


@dataclass(frozen=True, slots=True)
class Caller:
    """The user behind a token, and the token's session.

    ``revoked`` tells that the token was good once: it is on the blocklist, its session has ended, or its user is
    disabled.
    """

    id: UUID
    session_id: UUID
    username: str
    email: str
    status: str
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None
    revoked: bool
    roles: list[str]
    permissions: list[str]

    def may(self, permission: Permission) -> bool:
        """Tell whether one of the caller's roles holds ``permission``."""
        return ADMIN in self.roles or permission in self.permissions

    @classmethod
    def of(cls, user_id: UUID, session_id: UUID, row: Iterable[Any]) -> "Caller":
        """Return the caller that was asked for, and of whom ``CALLER`` found this ``row``."""
        *known, held = row
        roles: dict[str, list[str]] = held or {}
        permissions = [permission for granted in roles.values() for permission in granted]
        return cls(user_id, session_id, *known, roles=sorted(roles), permissions=permissions)  # type: ignore[misc]


# One sub-select for both, for each costs PostgreSQL a fifth of the whole; as JSON, for a row has no maps.
_HELD = (
    select(func.json_object_agg(Role.name, Role.permissions))
    .join(UserRole, UserRole.role_name == Role.name)
    .where(UserRole.user_id == User.id)
)

CALLER = Prepared(
    select(
        User.username,
        User.email,
        User.status,
        User.created_at,
        User.updated_at,
        User.last_login_at,
        or_(
            BlocklistedToken.jti.is_not(None),
            Session.ended_at.is_not(None),
            User.status != UserStatus.ACTIVE,
        ).label("revoked"),
        _HELD.scalar_subquery().label("held"),
    )
    .join(Session, and_(Session.user_id == User.id, Session.id == bindparam("session_id")))
    .outerjoin(
        BlocklistedToken,
        and_(BlocklistedToken.user_id == User.id, BlocklistedToken.jti == bindparam("jti")),
    )
    .where(User.id == bindparam("user_id"))
)
"""What is asked about a caller, in the order of the fields, and last what each of the user's roles permits.

Look-ups by primary key alone, each led by the user id: one round trip, on one shard.

What the roles allow is asked with it, so that a role taken away is gone on the next request.
"""
