"""Audit events: who did what, to whom, when and from where."""

from typing import Any

from sqlalchemy import Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from authapp.database.session import db
from authapp.models.columns import Id, Key, Timestamp

_TO_OTHERS = text("actor_id IS DISTINCT FROM subject_id AND actor_id IS NOT NULL")


class AuditEvent(db.Model):  # type: ignore[name-defined,misc]
    """One event. It is written once: a trigger refuses to change it, and to delete it but for pruning.

    ``actor_id`` is who did it (nobody for a guest and for the command line), ``subject_id`` the account it was done to.
    Neither is a foreign key, for the trail outlives the accounts. ``details`` never holds a secret, nor a name that a
    guest typed: people type passwords there.
    """

    __tablename__ = "audit_events"
    __table_args__ = (
        # One for each combination of filters, in the order of the list: a page is one range, however rare its events.
        Index(None, "subject_id", "occurred_at", "id"),
        Index(None, "subject_id", "type", "occurred_at", "id"),
        Index(None, "type", "occurred_at", "id"),
        # What people do to their own account is found by its subject: these hold the rest, which is little.
        Index(None, "actor_id", "occurred_at", "id", postgresql_where=_TO_OTHERS),
        Index(None, "actor_id", "type", "occurred_at", "id", postgresql_where=_TO_OTHERS),
    )

    occurred_at: Mapped[Timestamp] = mapped_column(primary_key=True)
    id: Mapped[Id] = mapped_column(primary_key=True)
    type: Mapped[Key]
    actor_id: Mapped[Id | None]
    subject_id: Mapped[Id | None]
    session_id: Mapped[Id | None]
    ip_address: Mapped[str | None] = mapped_column(Text)
    user_agent: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(Text)
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
