"""Logins that have passed their first factor, and wait for the second."""

from sqlalchemy import ARRAY, ForeignKey, Index, LargeBinary, SmallInteger, Text
from sqlalchemy.orm import Mapped, mapped_column

from authapp.database.session import Model
from authapp.models.columns import Id, Timestamp


class PendingLogin(Model):
    """One login that waits for its second factor. Its token is not stored, only the SHA-256 of that.

    ``amr`` says what was proven, and ``account_version`` is ``users.updated_at`` as it was then: any
    change of the account since voids the login. ``factor`` is the kind of factor that was proven, if it can be a second
    one as well. ``failures`` counts wrong codes.
    """

    __tablename__ = "pending_logins"
    __table_args__ = (Index(None, "expires_at"),)

    user_id: Mapped[Id] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    amr: Mapped[list[str]] = mapped_column(ARRAY(Text))
    factor: Mapped[str | None] = mapped_column(Text)
    account_version: Mapped[Timestamp]
    failures: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    created_at: Mapped[Timestamp]
    expires_at: Mapped[Timestamp]
