"""The blocklist: tokens that were revoked before they expired."""

from sqlalchemy import CheckConstraint, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from authapp.database.session import Model
from authapp.models.columns import Id, Timestamp


class BlocklistedToken(Model):
    """One revoked token, by its ``jti``. The row is pruned once the token has expired, as it is not needed then.

    As for sessions, there is no foreign key to the account.
    """

    __tablename__ = "token_blocklist"
    __table_args__ = (
        CheckConstraint("token_type IN ('access', 'refresh')", name="token_type"),
        Index(None, "expires_at"),
    )

    user_id: Mapped[Id] = mapped_column(primary_key=True)
    jti: Mapped[Id] = mapped_column(primary_key=True)
    token_type: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[Timestamp]
    revoked_at: Mapped[Timestamp]
