"""Challenges of passkeys that were used, so that each is used once."""

from sqlalchemy import Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from authapp.database.session import Model
from authapp.models.columns import Id, Timestamp


class UsedChallenge(Model):
    """The SHA-256 of a challenge that a user has used. Until it expires, it is not accepted again.

    There is no foreign key to the account: deleting an account must not take longer the more often it was used.
    """

    __tablename__ = "used_challenges"
    __table_args__ = (Index(None, "expires_at"),)

    user_id: Mapped[Id] = mapped_column(primary_key=True)
    challenge_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    expires_at: Mapped[Timestamp]
