"""Token pairs: the result of a login or a refresh."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from authapp import clock
from authapp.security import identifiers
from authapp.security.tokens import Tokens


@dataclass(frozen=True, kw_only=True)
class TokenPair:
    """The tokens from a login or a refresh. The times are in seconds from now."""

    access_token: str
    expires_in: int
    refresh_token: str
    refresh_expires_in: int
    token_type: str = "Bearer"  # noqa: S105 - a scheme, not a secret


@dataclass(frozen=True, kw_only=True)
class SessionState:
    """The data of a session from which its token pair is signed.

    ``refresh_jti`` is the current refresh token, issued at ``rotated_at``. ``expires_at`` is the end of the session.
    """

    user_id: UUID
    id: UUID
    refresh_jti: UUID
    rotated_at: datetime
    refresh_expires_at: datetime
    expires_at: datetime
    amr: list[str]
    auth_time: datetime


class PairIssuer:
    """Signs the token pair of a session."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._access_ttl = timedelta(seconds=tokens.rules.access_ttl)

    def issue(self, session: SessionState, *, fresh: bool, extra: Mapping[str, Any]) -> TokenPair:
        """Sign the pair of ``session``, which is committed by now, so that no lock waits for a signature.

        ``extra`` are further claims of the access token.
        """
        now = clock.now()
        access_expires = min(now + self._access_ttl, session.expires_at)
        sign = partial(
            self._tokens.sign,
            user_id=session.user_id,
            session_id=session.id,
            amr=session.amr,
            auth_time=session.auth_time,
        )
        return TokenPair(
            access_token=sign(
                "access",
                jti=identifiers.unguessable(),
                issued_at=now,
                expires_at=access_expires,
                fresh=fresh,
                extra=extra,
            ),
            expires_in=_seconds(now, access_expires),
            # A repeated refresh within the grace period gets the same refresh token, with the same id and times.
            refresh_token=sign(
                "refresh",
                jti=session.refresh_jti,
                issued_at=session.rotated_at,
                expires_at=session.refresh_expires_at,
            ),
            refresh_expires_in=_seconds(now, session.refresh_expires_at),
        )


def _seconds(start: datetime, end: datetime) -> int:
    return int(end.timestamp()) - int(start.timestamp())
