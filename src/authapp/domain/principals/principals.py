"""The one query of every protected request: whether the token is revoked, and who the principal is."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, bindparam, func, or_, select

from authapp import clock
from authapp.context import Principal
from authapp.database.fast_path import FastPath, PreparedStatement
from authapp.database.session import read_one
from authapp.domain.roles.permissions import role_permissions
from authapp.models import ApiKey, BlocklistedToken, Role, Session, User, UserRole, UserStatus
from authapp.models.session import auth_time, is_live
from authapp.security import identifiers
from authapp.security.tokens import Claims


@dataclass(frozen=True, slots=True)
class TokenStatus:
    """The status of a token in the database: its principal, and whether it is ``revoked``.

    It is revoked if it is on the blocklist, if its session has ended, or if its user is disabled.
    """

    principal: Principal
    revoked: bool


class Principals:
    """Looks up the status of tokens."""

    def __init__(self, fast_path: FastPath) -> None:
        self._fast_path = fast_path

    def token_status(self, claims: Claims) -> TokenStatus | None:
        """Return the status of the token with these verified ``claims``.

        Returns ``None`` if the session or the API key that it was issued for does not exist.

        This takes one statement in one round trip. Raises ``sqlalchemy.exc.SQLAlchemyError`` if the database does not
        answer.
        """
        # Passed as text, which PostgreSQL parses. Reading the token has already checked that these are UUIDs.
        parameters = {"user_id": claims["sub"], "jti": claims["jti"]}
        if "akid" in claims:
            row = self._fast_path.read(API_KEY_TOKEN_STATUS, {**parameters, "key_id": claims["akid"]})
            return _status_of_key_token(claims, row) if row else None
        row = self._fast_path.read(TOKEN_STATUS, {**parameters, "session_id": claims["sid"]})
        return status_from_row(claims, row) if row else None

    def of_account(
        self, user_id: UUID, account_version: datetime, *, amr: list[str], auth_time: datetime
    ) -> Principal | None:
        """Return the principal of an active account without a session.

        Returns ``None`` if the account has changed since ``account_version``, or is disabled or gone. ``amr`` and
        ``auth_time`` say how and when it was authenticated.
        """
        unchanged = (User.id == user_id, User.updated_at == account_version, User.status == UserStatus.ACTIVE)
        row = read_one(select(*ACCOUNT_COLUMNS, permissions_by_role()).where(*unchanged))
        if row is None:
            return None
        return principal_from_row(row, user_id, session_id=None, amr=amr, auth_time=auth_time, fresh=False)


def status_from_row(claims: Claims, row: Any) -> TokenStatus:
    """Return the token status from a ``row`` of ``TOKEN_STATUS``. Columns are read by name, never by position."""
    principal = principal_from_row(
        row,
        identifiers.from_text(claims["sub"]),
        session_id=identifiers.from_text(claims["sid"]),
        amr=row.amr,
        auth_time=row.auth_time,
        fresh=claims["fresh"],
    )
    # Fail closed: anything but false, such as NULL, counts as revoked.
    return TokenStatus(principal, revoked=row.revoked is not False)


def _status_of_key_token(claims: Claims, row: Any) -> TokenStatus:
    """Return the token status from a ``row`` of ``API_KEY_TOKEN_STATUS``."""
    user_id, key_id = identifiers.from_text(claims["sub"]), identifiers.from_text(claims["akid"])
    principal = principal_of_key(row, user_id, key_id, row.key_permissions)
    if "scope" in claims:
        principal = limited(principal, claims["scope"].split())
    return TokenStatus(principal, revoked=row.revoked is not False or has_expired(row))


def has_expired(row: Any) -> bool:
    """Tell whether the API key of a ``row`` with its ``expires_at`` is over."""
    return row.expires_at is not None and bool(row.expires_at <= clock.now())


def principal_of_key(row: Any, user_id: UUID, key_id: UUID, allowed: Collection[str] | None) -> Principal:
    """Return the principal of an API key, which may do what is ``allowed``; ``None`` for all that its owner may.

    Its owner is not there, so nothing of it is a login: it has no session, no ``amr`` and no ``auth_time``.
    """
    principal = principal_from_row(
        row, user_id, session_id=None, api_key_id=key_id, amr=[], auth_time=None, fresh=False
    )
    return principal if allowed is None else limited(principal, allowed)


def limited(principal: Principal, allowed: Collection[str]) -> Principal:
    """Return the principal with no more permissions than those ``allowed``, and without roles."""
    return replace(principal, roles=[], permissions=principal.permissions & set(allowed))


def principal_from_row(
    row: Any,
    user_id: UUID,
    *,
    session_id: UUID | None,
    api_key_id: UUID | None = None,
    amr: list[str],
    auth_time: datetime | None,
    fresh: bool,
) -> Principal:
    """Return the principal of a ``row`` with ``ACCOUNT_COLUMNS`` and ``permissions_by_role``.

    The statement of another kind of credential selects these columns too.
    """
    by_role: dict[str, list[str]] = row.permissions_by_role or {}
    return Principal(
        id=user_id,
        session_id=session_id,
        api_key_id=api_key_id,
        username=row.username,
        email=row.email,
        email_verified_at=row.email_verified_at,
        status=row.status,
        created_at=row.created_at,
        updated_at=row.updated_at,
        last_login_at=row.last_login_at,
        roles=sorted(by_role),
        permissions=role_permissions(by_role),
        amr=amr,
        auth_time=auth_time,
        fresh=fresh,
        pending_email=row.pending_email,
        pending_email_until=row.pending_email_until,
        kind=row.kind,
    )


def permissions_by_role() -> ColumnElement[dict[str, list[str]]]:
    """Return the column ``permissions_by_role`` of a statement that selects from ``users``."""
    # One sub-select, because each takes a fifth of the statement's time. JSON, because a column cannot hold a map.
    query = (
        select(func.json_object_agg(Role.name, Role.permissions))
        .join(UserRole, UserRole.role_name == Role.name)
        .where(UserRole.user_id == User.id, Role.is_live)
    )
    return query.scalar_subquery().label("permissions_by_role")


ACCOUNT_COLUMNS = (
    User.kind,
    User.username,
    User.email,
    User.email_verified_at,
    User.status,
    User.created_at,
    User.updated_at,
    User.last_login_at,
    User.pending_email,
    User.pending_email_until,
)
"""What ``principal_from_row`` needs to know of the account, besides ``permissions_by_role``."""

_SELECT = (
    select(
        *ACCOUNT_COLUMNS,
        or_(
            BlocklistedToken.jti.is_not(None),
            ~is_live(),
            User.status != UserStatus.ACTIVE,
        ).label("revoked"),
        Session.amr,
        auth_time().label("auth_time"),
        permissions_by_role(),
    )
    .join(Session, and_(Session.user_id == User.id, Session.id == bindparam("session_id")))
    .outerjoin(
        BlocklistedToken,
        and_(BlocklistedToken.user_id == User.id, BlocklistedToken.jti == bindparam("jti")),
    )
    .where(User.id == bindparam("user_id"))
)

TOKEN_STATUS = PreparedStatement(_SELECT)
"""Lookups by primary key only, each starting with the user id: one round trip, on one shard.

Permissions are included, so that revoking a role takes effect on the next request.
"""

API_KEY_COLUMNS = (
    *ACCOUNT_COLUMNS,
    ApiKey.expires_at,
    ApiKey.permissions.label("key_permissions"),
    permissions_by_role(),
)
"""What ``principal_of_key`` and ``has_expired`` need, for a statement that selects from ``users`` and ``api_keys``."""

_SELECT_FOR_KEY = (
    select(
        *API_KEY_COLUMNS,
        or_(BlocklistedToken.jti.is_not(None), User.status != UserStatus.ACTIVE).label("revoked"),
    )
    .join(ApiKey, and_(ApiKey.user_id == User.id, ApiKey.id == bindparam("key_id")))
    .outerjoin(
        BlocklistedToken,
        and_(BlocklistedToken.user_id == User.id, BlocklistedToken.jti == bindparam("jti")),
    )
    .where(User.id == bindparam("user_id"))
)

API_KEY_TOKEN_STATUS = PreparedStatement(_SELECT_FOR_KEY)
"""The same for a token that was issued for an API key, which takes the place of the session."""
