"""TOTP factors (RFC 6238): the secret that an account shares with an authenticator app."""

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from authapp.database.session import Model
from authapp.models.columns import Id, Key, Timestamp


class TotpFactor(Model):
    """The TOTP factor of one account. It counts once its owner has confirmed it with a code: ``confirmed_at``.

    ``secret`` is encrypted with the key ``key_id`` of ``AUTHAPP_ENCRYPTION_KEYS``. ``last_step`` is the time step of
    the last code that was accepted; only codes of later steps are.
    """

    __tablename__ = "totp_factors"
    __table_args__ = (
        # Which keys are needed, and which rows are still to be encrypted with another key.
        Index(None, "key_id", "user_id"),
        # Those that nobody has confirmed, to prune.
        Index(None, "created_at", postgresql_where=text("confirmed_at IS NULL")),
    )

    user_id: Mapped[Id] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    key_id: Mapped[Key]
    last_step: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    confirmed_at: Mapped[Timestamp | None]
    created_at: Mapped[Timestamp]
