"""The one statement of every protected request: is the token still good, and who is behind it?"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import and_, bindparam, func, or_, select

from authapp.context import Principal
from authapp.database.fast_path import FastPath, PreparedStatement
from authapp.domain.roles.permissions import permissions
from authapp.models import BlocklistedToken, Role, Session, User, UserRole, UserStatus
from authapp.models.role import ADMIN
from authapp.models.session import is_live
from authapp.security import identifiers
from authapp.security.tokens import Claims


@dataclass(frozen=True, slots=True)
class TokenStatus:
    """The database's answer about a token: the principal behind it, and whether it is ``revoked``.

    It is revoked when it is on the blocklist, when its session has ended, and when its user is disabled.
    """

    principal: Principal
    revoked: bool


class Principals:
    """The use case of asking about tokens."""

    def __init__(self, fast_path: FastPath) -> None:
        self._fast_path = fast_path

    def find(self, claims: Claims) -> TokenStatus | None:
        """Return the status of the token with these verified ``claims``, or ``None`` when its session is not known.

        One statement in one round trip. Raises ``sqlalchemy.exc.SQLAlchemyError`` when the database cannot be asked.
        """
        # As text: PostgreSQL reads it, and the reader of tokens has checked that these are UUIDs.
        user_id, session_id = claims["sub"], claims["sid"]
        row = self._fast_path.read(PRINCIPAL, {"user_id": user_id, "session_id": session_id, "jti": claims["jti"]})
        return token_status(identifiers.from_text(user_id), identifiers.from_text(session_id), row) if row else None


def token_status(user_id: UUID, session_id: UUID, row: Any) -> TokenStatus:
    """Return what a ``row`` of ``PRINCIPAL`` says. Its columns are read by name: their order means nothing."""
    by_role: dict[str, list[str]] = row.permissions_by_role or {}
    principal = Principal(
        id=user_id,
        session_id=session_id,
        username=row.username,
        email=row.email,
        email_verified_at=row.email_verified_at,
        status=row.status,
        created_at=row.created_at,
        updated_at=row.updated_at,
        last_login_at=row.last_login_at,
        roles=sorted(by_role),
        permissions=frozenset(
            permissions if ADMIN in by_role else (name for each in by_role.values() for name in each)
        ),
        amr=row.amr,
        auth_time=row.auth_time,
    )
    # Nothing but a plain "no" lets a token in.
    return TokenStatus(principal, revoked=row.revoked is not False)


# One sub-select for both, for each costs PostgreSQL a fifth of the whole; as JSON, for a row has no maps.
_PERMISSIONS_BY_ROLE = (
    select(func.json_object_agg(Role.name, Role.permissions))
    .join(UserRole, UserRole.role_name == Role.name)
    .where(UserRole.user_id == User.id)
)

_STATUS = (
    select(
        User.username,
        User.email,
        User.email_verified_at,
        User.status,
        User.created_at,
        User.updated_at,
        User.last_login_at,
        or_(
            BlocklistedToken.jti.is_not(None),
            ~is_live(),
            User.status != UserStatus.ACTIVE,
        ).label("revoked"),
        Session.amr,
        func.coalesce(Session.auth_time, Session.created_at).label("auth_time"),
        _PERMISSIONS_BY_ROLE.scalar_subquery().label("permissions_by_role"),
    )
    .join(Session, and_(Session.user_id == User.id, Session.id == bindparam("session_id")))
    .outerjoin(
        BlocklistedToken,
        and_(BlocklistedToken.user_id == User.id, BlocklistedToken.jti == bindparam("jti")),
    )
    .where(User.id == bindparam("user_id"))
)

PRINCIPAL = PreparedStatement(_STATUS)
"""Look-ups by primary key alone, each led by the user id: one round trip, on one shard.

What the roles permit is asked with it, so that a role taken away is gone on the next request.
"""
