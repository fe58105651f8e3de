"""Sessions: one row per login. Every token of that login has the row's id in its ``sid`` claim."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ARRAY, ColumnElement, DateTime, Index, Text, and_, func, literal_column, text
from sqlalchemy.orm import Mapped, mapped_column

from authapp.database.session import Model
from authapp.models.columns import Id, Timestamp
from authapp.models.user import User


class EndReason(StrEnum):
    """Why a session ended before it expired: the reasons of authapp itself. Others may be added; it is text."""

    LOGOUT = "logout"
    REVOKED = "revoked"
    REFRESH_TOKEN_REUSED = "refresh_token_reused"  # noqa: S105 - a reason, not a secret
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a reason, and no secret
    FACTORS_CHANGED = "factors_changed"
    DISABLED = "disabled"
    SESSION_LIMIT = "session_limit"


_UNENDED = "coalesce(ended_at, 'infinity') = 'infinity'"


class Session(Model):
    """One login, and the state of its refresh tokens (RFC 9700, section 4.14.2).

    The row holds the ids of tokens, never a token. Only the refresh token ``refresh_jti`` may be exchanged.
    ``previous_refresh_jti`` is the one before it, which was exchanged at ``rotated_at``. ``refresh_expires_at`` is when
    the last token of the session expires and the row is no longer needed; it is never later than ``expires_at``.

    ``amr`` (RFC 8176) says how the user was authenticated, and ``auth_time`` when. A session is over if
    ``users.sessions_valid_from`` is later than its ``valid_from``. ``valid_from`` is the database's time when the
    session started, or when it was last kept while all others were ended. ``auth_time`` and ``valid_from`` are null in
    rows written by version 0.1; for those ``created_at`` is used.

    There is no foreign key to the account: deleting an account must not take longer the more sessions it has had. The
    rows that its deletion leaves are pruned when they expire.
    """

    __tablename__ = "sessions"
    __table_args__ = (
        Index(None, "refresh_expires_at"),
        # The sessions of a user by their last use, without reading past those that have ended; see is_unended().
        Index(None, "user_id", "last_used_at", "id", postgresql_where=text(_UNENDED)),
    )

    user_id: Mapped[Id] = mapped_column(primary_key=True)
    id: Mapped[Id] = mapped_column(primary_key=True)
    created_at: Mapped[Timestamp]
    last_used_at: Mapped[Timestamp]
    expires_at: Mapped[Timestamp]
    ended_at: Mapped[Timestamp | None]
    end_reason: Mapped[str | None] = mapped_column(Text)
    refresh_jti: Mapped[Id]
    previous_refresh_jti: Mapped[Id | None]
    rotated_at: Mapped[Timestamp]
    refresh_expires_at: Mapped[Timestamp]
    ip_address: Mapped[str | None] = mapped_column(Text)
    user_agent: Mapped[str | None] = mapped_column(Text)
    amr: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{pwd}")
    auth_time: Mapped[Timestamp | None]
    valid_from: Mapped[Timestamp | None]

    def is_live_at(self, now: datetime, cutoff: datetime) -> bool:
        """Return whether the session is live at ``now``, if its user's ``sessions_valid_from`` is ``cutoff``."""
        return (
            self.ended_at is None and self.refresh_expires_at > now and (self.valid_from or self.created_at) >= cutoff
        )

    def was_exchanged_after(self, time: datetime) -> bool:
        """Return whether its refresh token came from an exchange after ``time``. At its start it came from a login."""
        return self.previous_refresh_jti is not None and self.rotated_at > time


def was_exchanged_after(time: ColumnElement[datetime]) -> ColumnElement[bool]:
    """Return the SQL condition of ``Session.was_exchanged_after``."""
    return and_(Session.previous_refresh_jti.is_not(None), Session.rotated_at > time)


def is_unended() -> ColumnElement[bool]:
    """Return the condition of the index of sessions by their last use: the row has not ended.

    It is not ``ended_at IS NULL``, so that PostgreSQL never takes this index to look up one session by its id. Without
    statistics it would, and would read every session of the user each time.
    """
    infinity: ColumnElement[datetime] = literal_column("'infinity'", DateTime(timezone=True))
    return func.coalesce(Session.ended_at, infinity) == infinity


def valid_from() -> ColumnElement[datetime]:
    """Return the time that is compared with ``users.sessions_valid_from``, in rows of version 0.1 too."""
    return func.coalesce(Session.valid_from, Session.created_at)


def auth_time() -> ColumnElement[datetime]:
    """Return when the user was authenticated, in rows of version 0.1 too."""
    return func.coalesce(Session.auth_time, Session.created_at)


def is_live() -> ColumnElement[bool]:
    """Return the SQL condition that a session has not ended, for a statement that joins ``sessions`` and ``users``."""
    return and_(Session.ended_at.is_(None), valid_from() >= User.sessions_valid_from)


def server_time() -> ColumnElement[datetime]:
    """Return PostgreSQL's current time. Sessions and ``sessions_valid_from`` use it, because node clocks may differ."""
    return func.clock_timestamp(type_=DateTime(timezone=True))
