"""The table of this project, beside those of authapp."""

from datetime import datetime, timedelta
from uuid import UUID

from authapp import Prunable, db, prunables
from sqlalchemy import DateTime, ForeignKey, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column


class Note(db.Model):
    """One note. It goes when its user goes."""

    __tablename__ = "notes"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now(), index=True)


prunables.register("notes", Prunable("notes", Note.created_at, kept_for=timedelta(days=3650)))
