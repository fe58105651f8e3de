"""Recovery codes: each replaces a second factor once."""

from sqlalchemy import ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from authapp.database.session import Model
from authapp.models.columns import Id, Timestamp


class RecoveryCode(Model):
    """One code that has not been used: its SHA-256, since its 120 random bits cannot be guessed."""

    __tablename__ = "recovery_codes"

    user_id: Mapped[Id] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    code_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    created_at: Mapped[Timestamp]
