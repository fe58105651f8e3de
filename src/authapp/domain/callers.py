"""Who is calling, and whether they may: the one statement of every protected request."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, bindparam, or_, select
from sqlalchemy.engine import Row

from authapp.models import BlocklistedToken, Session, User, UserStatus


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
    roles: tuple[str, ...] = ()

    @classmethod
    def from_row(cls, row: Row[Any]) -> "Caller":
        """Read a row of ``CALLER``."""
        return cls(**row._mapping)


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
    )
    .join(Session, and_(Session.user_id == User.id, Session.id == bindparam("session_id")))
    .outerjoin(
        BlocklistedToken,
        and_(BlocklistedToken.user_id == User.id, BlocklistedToken.jti == bindparam("jti")),
    )
    .where(User.id == bindparam("user_id"))
)
"""Three look-ups by primary key, each led by the user id: one round trip, on one shard."""
