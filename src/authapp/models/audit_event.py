"""Audit events: who did what, to whom, when and from where."""

from typing import Any

from sqlalchemy import Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from authapp.database.session import Model
from authapp.models.columns import Id, Key, Timestamp

_TO_OTHERS = text("actor_id IS DISTINCT FROM subject_id AND actor_id IS NOT NULL")


class AuditEvent(Model):
    """One event. It is append-only: a trigger refuses updates, and refuses deletes except by pruning.

    ``actor_id`` is the user who did it (null for a guest and for the command line), ``subject_id`` the account that it
    was done to. Neither is a foreign key, because the trail outlives the accounts. ``details`` must not contain
    secrets, or a name that a guest typed, because people type passwords into the name field by mistake.
    """

    __tablename__ = "audit_events"
    __table_args__ = (
        # One index for each combination of filters, in the order of the list, so that a page is one index range even
        # if few events match.
        Index(None, "subject_id", "occurred_at", "id"),
        Index(None, "subject_id", "type", "occurred_at", "id"),
        Index(None, "type", "occurred_at", "id"),
        # Events where users act on their own account are found by subject_id. These indexes hold only the few others.
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
