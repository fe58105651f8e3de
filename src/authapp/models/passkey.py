"""Passkeys (WebAuthn Level 3): the public keys of an account, one for each of its authenticators."""

from sqlalchemy import ARRAY, BigInteger, ForeignKey, LargeBinary, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from authapp.database.session import Model
from authapp.models.columns import Id, Timestamp

PASSKEYS_PER_ACCOUNT = 20
NAME_MAX_LENGTH = 64


class Passkey(Model):
    """One passkey: a credential record of WebAuthn L3, section 4, under a name that its owner chose.

    ``public_key`` is a COSE_Key (RFC 9052). ``backup_eligible`` tells whether the passkey may be synced between
    devices, and never changes; ``backed_up`` whether it was when it was used last. ``sign_count`` is the highest
    signature counter that was seen; 0 if the authenticator has none. The user was verified when it was made.
    """

    __tablename__ = "passkeys"
    # Of all users together: otherwise one could register the credential of another (section 7.1, step 26).
    __table_args__ = (UniqueConstraint("credential_id"),)

    user_id: Mapped[Id] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[Id] = mapped_column(primary_key=True)
    credential_id: Mapped[bytes] = mapped_column(LargeBinary)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(BigInteger)
    backup_eligible: Mapped[bool]
    backed_up: Mapped[bool]
    transports: Mapped[list[str]] = mapped_column(ARRAY(Text))
    aaguid: Mapped[Id]
    name: Mapped[str] = mapped_column(Text)
    created_at: Mapped[Timestamp]
    last_used_at: Mapped[Timestamp | None]
