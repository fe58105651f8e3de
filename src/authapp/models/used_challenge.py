"""Challenges that were used, of passkeys and of logins by a provider, so that each is used once."""

from sqlalchemy import Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from authapp.database.session import Model
from authapp.models.columns import Id, Timestamp


class UsedChallenge(Model):
    """The SHA-256 of a challenge that was used. Until it expires, it is not accepted again.

    ``user_id`` is the owner of the passkey that answered. A login by a provider begins before its user is known: its
    row has the first half of the hash in place of a user's id.

    There is no foreign key to the account: deleting an account must not take longer the more often it was used.
    """

    __tablename__ = "used_challenges"
    __table_args__ = (Index(None, "expires_at"),)

    user_id: Mapped[Id] = mapped_column(primary_key=True)
    challenge_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    expires_at: Mapped[Timestamp]
