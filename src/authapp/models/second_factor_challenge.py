"""Challenges for a second factor: logins that have passed their first one."""

from sqlalchemy import ARRAY, ForeignKey, Index, LargeBinary, SmallInteger, Text
from sqlalchemy.orm import Mapped, mapped_column

from authapp.database.session import Model
from authapp.models.columns import Id, Timestamp


class SecondFactorChallenge(Model):
    """One login that waits for its second factor. The challenge itself is not stored, only its SHA-256.

    ``amr`` says what was proven, and ``account_version`` is ``users.updated_at`` as it was then: any
    change of the account since voids the challenge. ``failures`` counts wrong codes.
    """

    __tablename__ = "second_factor_challenges"
    __table_args__ = (Index(None, "expires_at"),)

    user_id: Mapped[Id] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    challenge_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    amr: Mapped[list[str]] = mapped_column(ARRAY(Text))
    account_version: Mapped[Timestamp]
    failures: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    created_at: Mapped[Timestamp]
    expires_at: Mapped[Timestamp]
