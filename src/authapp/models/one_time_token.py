"""One-time tokens: sent to an email address, to verify, change or restore it, to reset a password, or to log in."""

from sqlalchemy import ForeignKey, Index, LargeBinary, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from authapp.database.session import Model
from authapp.models.columns import Id, Key, Timestamp


class OneTimeToken(Model):
    """One token that was sent: its SHA-256, its purpose, and the address that it was sent to.

    The token itself is not stored anywhere. ``address_key`` is the lookup key of that address
    (``models.user.lookup_key``).

    A login can also be completed with a code of eight digits, by the client that holds the challenge: ``code_hash`` is
    that code's hash, ``challenge_hash`` the SHA-256 of the challenge, and ``failures`` counts wrong codes.

    ``mail_id`` is the row of the outbox that carried the token. A mail that is sent again has more than one.
    """

    __tablename__ = "one_time_tokens"
    __table_args__ = (
        Index(None, "expires_at"),
        # A challenge does not contain the user's id: it is given out before anybody knows whether there is an account.
        Index(None, "challenge_hash", postgresql_where=text("challenge_hash IS NOT NULL")),
    )

    user_id: Mapped[Id] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    purpose: Mapped[Key] = mapped_column(primary_key=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    address_key: Mapped[Key]
    challenge_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    code_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    failures: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    mail_id: Mapped[Id | None]
    created_at: Mapped[Timestamp]
    expires_at: Mapped[Timestamp]
