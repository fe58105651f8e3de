"""Sessions: one row per login, which every token of that login names in its ``sid`` claim."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ARRAY, CheckConstraint, ColumnElement, DateTime, ForeignKey, Index, Text, and_, func
from sqlalchemy.orm import Mapped, mapped_column

from authapp.database.session import db
from authapp.models.columns import Id, Timestamp
from authapp.models.user import User


class EndReason(StrEnum):
    """Why a session is over before its time."""

    LOGOUT = "logout"
    REVOKED = "revoked"
    REFRESH_TOKEN_REUSED = "refresh_token_reused"  # noqa: S105 - a reason, not a secret
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    DISABLED = "disabled"


_REASONS = ", ".join(f"'{reason}'" for reason in EndReason)


class Session(db.Model):  # type: ignore[name-defined,misc]
    """One login, and the state of its refresh tokens (RFC 9700, section 4.14.2).

    The row holds identifiers of tokens, never a token. Of the refresh tokens only ``refresh_jti`` may be exchanged;
    ``previous_refresh_jti`` is its immediate predecessor, exchanged at ``rotated_at``. ``refresh_expires_at`` is when
    the last token of the session dies, and so when the row is of no more use; ``expires_at`` bounds it.

    ``amr`` (RFC 8176) says how the user was authenticated, and ``auth_time`` when. A session is over when
    ``users.sessions_valid_from`` is later than its ``valid_from``, which is the database's time at its start, or at
    the last time it was kept while all others were ended. Both times are null in rows of version 0.1: there it is
    ``created_at`` that counts.
    """

    __tablename__ = "sessions"
    __table_args__ = (
        Index(None, "refresh_expires_at"),
        CheckConstraint(f"end_reason IN ({_REASONS})", name="end_reason"),
    )

    user_id: Mapped[Id] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
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


def is_live() -> ColumnElement[bool]:
    """Return the condition that a session has not ended, in a statement that joins ``sessions`` and ``users``."""
    begun = func.coalesce(Session.valid_from, Session.created_at)
    return and_(Session.ended_at.is_(None), begun >= User.sessions_valid_from)


def server_time() -> ColumnElement[datetime]:
    """Return PostgreSQL's time when the statement runs, by which sessions and their marks are compared."""
    return func.clock_timestamp(type_=DateTime(timezone=True))
