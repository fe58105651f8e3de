"""API keys: what a program uses in place of a login."""

from sqlalchemy import ARRAY, ForeignKey, Index, LargeBinary, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from authapp.database.session import Model
from authapp.models.columns import ONE_LINE_PATTERN, Id, Timestamp, matches

API_KEYS_PER_ACCOUNT = 50
"""How many keys of an account may be good at the same time."""

ROWS_PER_ACCOUNT = 100
"""How many keys of an account are kept, with those that have expired."""

NAME_MAX_LENGTH = 64


def checked_key_name(name: str) -> str:
    """Return ``name``. Raises ``ValueError``, with the rule as its message, if it is not valid."""
    if not 1 <= len(name) <= NAME_MAX_LENGTH or not matches(ONE_LINE_PATTERN, name):
        raise ValueError(f"Must be 1 to {NAME_MAX_LENGTH} characters, without control characters.")
    return name


class ApiKey(Model):
    """One key of an account, under a name that somebody chose. Deleting the row ends the key.

    ``secret_hash`` is the SHA-256 of the whole key, and ``prefix`` the part of it that is no secret
    (``security/api_keys.py``). ``permissions`` are those that the key allows, as far as its owner's roles have them;
    null for all that the roles have. ``created_by`` is the user who made it, and null if an operator did.
    ``last_used_at`` is right to a minute or two, because no request writes it. ``warned_at`` is when the key was
    marked because it was about to expire: a person who owns it was sent a mail then, unless it was made for a week or
    less.
    """

    __tablename__ = "api_keys"
    __table_args__ = (
        Index(None, "expires_at"),
        # Finds those to warn of: each key is looked at once.
        Index("ix_api_keys_unwarned", "expires_at", postgresql_where=text("warned_at IS NULL")),
    )

    user_id: Mapped[Id] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[Id] = mapped_column(primary_key=True)
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary)
    prefix: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    permissions: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    created_at: Mapped[Timestamp]
    created_by: Mapped[Id | None]
    last_used_at: Mapped[Timestamp | None]
    expires_at: Mapped[Timestamp | None]
    warned_at: Mapped[Timestamp | None] = mapped_column(default=None)
