"""Users: the accounts."""

import unicodedata
from datetime import datetime
from enum import StrEnum
from typing import Any

import idna
from email_validator import EmailNotValidError, validate_email
from sqlalchemy import CheckConstraint, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from authapp import clock
from authapp.database.session import Model
from authapp.errors import ServiceAccount
from authapp.models.columns import Id, Key, Timestamp, matches
from authapp.models.role import UserRole

USERNAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{2,31}$"
EMAIL_MAX_LENGTH = 254

ENCODED_WORD = "=?"
"""What an encoded word begins with (RFC 2047): in a header of a mail, it stands for any text, also for line ends."""

FOREIGN_HASH = "NOT starts_with(password_hash, '$argon2id$')"
"""The SQL condition on a foreign hash: any that does not begin with ``$argon2id$``."""


class UserStatus(StrEnum):
    """Whether the user may log in."""

    ACTIVE = "active"
    DISABLED = "disabled"


class UserKind(StrEnum):
    """Whose account it is. A service has no password and no email address, cannot log in, and uses API keys."""

    PERSON = "person"
    SERVICE = "service"


def folded(name: str) -> str:
    """Return ``name`` in lower case and Unicode's normal form C.

    ``casefold()`` would also equate different letters, such as ``ß`` and ``ss``. Input longer than any valid name is
    truncated: it cannot match one, and normalising it takes quadratic time.
    """
    composed = unicodedata.normalize("NFC", name[: EMAIL_MAX_LENGTH + 1])
    return unicodedata.normalize("NFC", composed.lower())


def email_key(email: str) -> str:
    """Return the ``email_key`` of an address: two addresses with the same key count as the same address.

    The local part is ``folded``. Domains are the same if their A-labels are (IDNA 2008, RFC 5891): the key has the
    U-label, of which there is one for each A-label, so that a search for the start of an address finds it.
    """
    local_part, at, domain = email[: EMAIL_MAX_LENGTH + 1].rpartition("@")
    return f"{folded(local_part)}{at}{_domain_key(domain)}"


def _domain_key(domain: str) -> str:
    if domain.isascii() and "xn--" not in domain.lower():
        return domain.lower()
    try:
        return idna.decode(idna.encode(domain, uts46=True))
    except UnicodeError:  # no domain at all
        return folded(domain)


def lookup_key(name: str) -> str:
    """Return the ``username_key`` or ``email_key`` of an account with this username or email address.

    Blanks around the name are ignored: keyboards of phones add one when they complete a name.
    """
    name = name.strip()
    return email_key(name) if "@" in name else folded(name)


def is_username(username: str) -> bool:
    """Return whether ``username`` is a valid username."""
    return matches(USERNAME_PATTERN, username)


def checked_username(username: str) -> str:
    """Return ``username``. Raises ``ValueError``, with the rule as its message, if it is not valid."""
    if not is_username(username):
        raise ValueError(
            "Must be 3 to 32 of the characters A-Z, a-z, 0-9, '.', '_' and '-', and start with a letter or a digit."
        )
    return username


def checked_email(email: str) -> str:
    """Return ``email`` in its normal form. Raises ``ValueError``, with the reason, if it is not a valid address.

    The domain is not looked up, because the result must not depend on someone else's name server. An address with an
    encoded word is not valid here, though its characters are: it would write headers and a text of its own.
    """
    if len(email) > EMAIL_MAX_LENGTH or ENCODED_WORD in email:
        raise ValueError("Not a valid email address.")
    try:
        return validate_email(email, check_deliverability=False).normalized
    except EmailNotValidError:
        raise ValueError("Not a valid email address.") from None


class User(Model):
    """One account. Unique constraints on the two key columns make username and email unique regardless of case.

    ``email`` and ``email_key`` are null for a service account alone, whose ``kind`` is ``service``.
    ``password_hash`` is null for an account without a password. Setting ``sessions_valid_from`` ends every session
    that started before it, with one write however many there are. It is PostgreSQL's time, because node clocks differ.
    ``email_verified_at`` is about the present address. ``first_verified_at`` stays when another one is set: an account
    without it may not be that of the owner of its address. ``pending_email`` is an address that the user has asked for
    and not confirmed; it counts until ``pending_email_until``. ``previous_emails`` are those that were replaced and can
    be restored, the oldest first (``domain/email/previous_addresses.py``). ``imported_at`` is null for an account that
    was made here. ``prune_checked_at`` is when pruning last found it in use, at first when it was made.
    """

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("status IN ('active', 'disabled')", name="status"),
        CheckConstraint(
            "(kind = 'person' AND email IS NOT NULL AND email_key IS NOT NULL) OR (kind = 'service' AND email IS NULL "
            "AND email_key IS NULL AND password_hash IS NULL)",
            name="kind",
        ),
        # Lists the few disabled accounts without reading all the others.
        Index(None, "status", "id"),
        # Finds those to prune, which were checked longest ago of these.
        Index(None, "prune_checked_at", postgresql_where=text("first_verified_at IS NULL AND imported_at IS NULL")),
        # Tells the pruning of ForeignHashMark whether any is left.
        Index("ix_users_foreign_hash", "id", postgresql_where=text(FOREIGN_HASH)),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(Text, default=UserKind.PERSON, server_default=text("'person'"))
    username: Mapped[str] = mapped_column(Text)
    username_key: Mapped[Key] = mapped_column(unique=True)
    email: Mapped[str | None] = mapped_column(Text, default=None)
    email_key: Mapped[Key | None] = mapped_column(unique=True, default=None)
    email_verified_at: Mapped[Timestamp | None] = mapped_column(default=None)
    first_verified_at: Mapped[Timestamp | None] = mapped_column(default=None)
    pending_email: Mapped[str | None] = mapped_column(Text, default=None)
    pending_email_until: Mapped[Timestamp | None] = mapped_column(default=None)
    previous_emails: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB(none_as_null=True), default=None)
    password_hash: Mapped[str | None] = mapped_column(Text, default=None)
    sessions_valid_from: Mapped[Timestamp] = mapped_column(server_default=text("'epoch'"))
    status: Mapped[str] = mapped_column(Text, default=UserStatus.ACTIVE)
    created_at: Mapped[Timestamp] = mapped_column(default=clock.now)
    updated_at: Mapped[Timestamp] = mapped_column(default=clock.now)
    last_login_at: Mapped[Timestamp | None] = mapped_column(default=None)
    imported_at: Mapped[Timestamp | None] = mapped_column(default=None)
    prune_checked_at: Mapped[Timestamp] = mapped_column(default=clock.now, server_default=text("now()"))

    role_links: Mapped[list[UserRole]] = relationship(
        lazy="selectin", passive_deletes=True, cascade="all, delete-orphan"
    )

    @property
    def was_ever_verified(self) -> bool:
        """Whether an address of the account was ever verified.

        Otherwise anybody may have registered it, and who proves to read the mail of its address takes it over, without
        what the registrant has set (``docs/decisions/0039-proofs-of-an-address.md``).
        """
        return self.first_verified_at is not None

    def set_verified(self, now: datetime) -> None:
        """Note that the owner of the account has proven to read the mail of its address."""
        self.email_verified_at = now
        self.first_verified_at = self.first_verified_at or now

    def forget_pending_email(self) -> None:
        """Note that the user no longer wants another address."""
        self.pending_email = self.pending_email_until = None

    @property
    def address(self) -> str:
        """The email address of a person's account. Raises ``ServiceAccount`` for one that has none."""
        if self.email is None:
            raise ServiceAccount
        return self.email

    @property
    def roles(self) -> list[str]:
        """The names of the user's roles, sorted."""
        return sorted(link.role_name for link in self.role_links)

    @validates("username", "email")
    def _set_key(self, name: str, value: str | None) -> str | None:
        key = None if value is None else email_key(value) if name == "email" else folded(value)
        setattr(self, f"{name}_key", key)
        return value
