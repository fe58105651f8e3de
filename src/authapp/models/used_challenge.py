"""Challenges that were used, of passkeys and of logins by a provider, so that each is used once."""

from sqlalchemy import Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from authapp.database.session import Model
from authapp.models.columns import Id, Timestamp


class UsedChallenge(Model):
    """The SHA-256 of a challenge that was used. Until it expires, it is not accepted again.

    ``user_id`` is whose passkey it was for. Whose a login by a provider is was not known when it began: there it is no
    user's, but the first half of the hash, so that the row is found by the same key.

    There is no foreign key to the account: deleting an account must not take longer the more often it was used.
    """

    __tablename__ = "used_challenges"
    __table_args__ = (Index(None, "expires_at"),)

    user_id: Mapped[Id] = mapped_column(primary_key=True)
    challenge_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    expires_at: Mapped[Timestamp]
