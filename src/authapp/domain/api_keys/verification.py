"""Accepting API keys: one statement, by the primary key that the key itself names."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import and_, bindparam, select

from authapp import clock
from authapp.config.rate_limits import API_KEY
from authapp.context import Principal, RequestContext
from authapp.database.fast_path import FastPath, PreparedStatement
from authapp.database.session import transaction
from authapp.domain import audit
from authapp.domain.api_keys.last_seen_keys import LastSeenKeys
from authapp.domain.audit import EventType
from authapp.domain.principals.principals import API_KEY_COLUMNS, has_expired, principal_of_key
from authapp.domain.rate_limits import RateLimits
from authapp.errors import TokenExpired, TokenInvalid, TokenRefused, TokenRevoked
from authapp.models import ApiKey, User, UserStatus
from authapp.security import api_keys

REFUSALS_RECORDED_EVERY = timedelta(hours=1)


@dataclass(frozen=True)
class FoundApiKey:
    """A stored API key, and whose it is. Only if ``refusal`` is ``None``, it is accepted and proves ``principal``.

    ``is_limited`` tells whether it has permissions of its own, which never change.
    """

    id: UUID
    principal: Principal
    is_limited: bool
    expires_at: datetime | None
    refusal: type[TokenRefused] | None


class ApiKeyVerifier:
    """Accepts API keys."""

    def __init__(self, fast_path: FastPath, rate_limits: RateLimits, used: LastSeenKeys) -> None:
        """Take where the keys that are accepted are noted: ``used``."""
        self._fast_path = fast_path
        self._rate_limits = rate_limits
        self._used = used
        self._refused = LastSeenKeys()

    def authenticate(self, key: str, context: RequestContext) -> Principal:
        """Return the principal of ``key``, and note that it was used.

        Raises ``TokenInvalid``, ``TokenExpired``, ``TokenRevoked`` if its owner is disabled, ``TooManyRequests`` if it
        has a limit, or ``sqlalchemy.exc.SQLAlchemyError``.
        """
        return self.accept(key, context).principal

    def accept(self, key: str, context: RequestContext) -> FoundApiKey:
        """Do the same, and return the key as it is stored."""
        found = self.find_even_if_refused(key)
        if found is None:
            raise TokenInvalid
        if found.refusal is not None:
            self._record_refusal(found, context)
            raise found.refusal
        self.charge(found.id)
        self._used.add(found.principal.id, found.id, clock.now())
        return found

    def accept_client(self, client_id: str, key: str, context: RequestContext) -> FoundApiKey:
        """Do the same for a client of OAuth. Raises ``TokenInvalid`` if ``client_id`` is not the prefix of its key."""
        if key[: api_keys.PREFIX_LENGTH] != client_id:
            raise TokenInvalid
        return self.accept(key, context)

    def charge(self, key_id: UUID) -> None:
        """Count a request of a key, or of a token that was issued for it. Raises ``TooManyRequests``."""
        # Off unless it is set: it counts each request of a key, and so writes.
        self._rate_limits.charge_key(API_KEY, f"api_key:{key_id}")

    def introspect(self, key: str) -> FoundApiKey | None:
        """Return ``key`` if it would be accepted now, and note that it was used; otherwise ``None``."""
        found = self.find_even_if_refused(key)
        if found is None or found.refusal is not None:
            return None
        # Another service accepts it: whoever rotates keys waits until the old one is not used any more.
        self._used.add(found.principal.id, found.id, clock.now())
        return found

    def find_even_if_refused(self, key: str) -> FoundApiKey | None:
        """Return the API key with this text, also if it has expired or its owner is disabled.

        Returns ``None`` if there is none. A wrong checksum costs no statement.
        """
        try:
            ids = api_keys.parse(key)
        except ValueError:
            return None
        # Passed as text, which PostgreSQL parses.
        row = self._fast_path.read(API_KEY_STATUS, {"user_id": str(ids.user_id), "key_id": str(ids.key_id)})
        if row is None or not api_keys.matches(key, bytes(row.secret_hash)):
            return None
        return FoundApiKey(
            ids.key_id,
            principal_of_key(row, ids.user_id, ids.key_id, row.key_permissions),
            is_limited=row.key_permissions is not None,
            expires_at=row.expires_at,
            refusal=_refusal(row),
        )

    def _record_refusal(self, found: FoundApiKey, context: RequestContext) -> None:
        user_id, now = found.principal.id, clock.now()
        last = self._refused.get(user_id, found.id)
        # A program goes on with its key for ever: a write for each request would fill the trail.
        if last is not None and now - last < REFUSALS_RECORDED_EVERY:
            return
        self._refused.add(user_id, found.id, now)
        reason = "expired" if found.refusal is TokenExpired else "disabled"
        with transaction():
            details: dict[str, Any] = {"api_key_id": str(found.id), "reason": reason}
            audit.record(EventType.API_KEY_REFUSED, context=context, subject_id=user_id, **details)


def _refusal(row: Any) -> type[TokenRefused] | None:
    # Fail closed: whatever is not active is refused.
    if row.status != UserStatus.ACTIVE:
        return TokenRevoked
    return TokenExpired if has_expired(row) else None


API_KEY_STATUS = PreparedStatement(
    select(*API_KEY_COLUMNS, ApiKey.secret_hash)
    .join(ApiKey, and_(ApiKey.user_id == User.id, ApiKey.id == bindparam("key_id")))
    .where(User.id == bindparam("user_id"))
)
"""Look-ups by primary key only, each starting with the user id: one round trip, on one shard."""
