"""The state of the limits on abuse, one row a key, so that every worker and node counts together."""

from enum import StrEnum

from sqlalchemy import Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from authapp.database.session import db
from authapp.models.columns import Id, Key, Timestamp


class ThrottleScope(StrEnum):
    """What a password is sent for. Each is counted apart: guests who guess at an account do not block its owner.

    A login is anybody's to try; a confirmation is asked of a live session, to change the password, say.
    """

    LOGIN = "login"
    CONFIRMATION = "confirmation"


class LoginThrottle(db.Model):  # type: ignore[name-defined,misc]
    """The consecutive failures of one account in one ``ThrottleScope`` (NIST SP 800-63B-4, section 3.2.2).

    ``account_id`` is the user's id, or stands for a name that nobody has: those are counted alike, or the difference
    would tell which accounts exist. That is why it is no foreign key.
    """

    __tablename__ = "login_throttles"
    __table_args__ = (Index(None, "last_attempt_at"),)

    account_id: Mapped[Id] = mapped_column(primary_key=True)
    purpose: Mapped[Key] = mapped_column(primary_key=True)
    failures: Mapped[int] = mapped_column(Integer)
    last_attempt_at: Mapped[Timestamp]
    blocked_until: Mapped[Timestamp | None]


class AddressLimit(db.Model):  # type: ignore[name-defined,misc]
    """What one client address has used of one limit: the theoretical arrival time of its next request (GCRA).

    The table is unlogged: a count that covers a minute need not survive a crash of the database, and so no request
    waits for the disk because it was counted.
    """

    __tablename__ = "address_limits"
    __table_args__ = (Index(None, "arrival_at"), {"prefixes": ["UNLOGGED"]})

    address: Mapped[Key] = mapped_column(primary_key=True)
    limit_name: Mapped[Key] = mapped_column(primary_key=True)
    arrival_at: Mapped[Timestamp]
