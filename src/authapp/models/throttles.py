"""The counters of the limits on abuse. They are in the database so that all workers and nodes count together."""

from enum import StrEnum

from sqlalchemy import Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from authapp.database.session import db
from authapp.models.columns import Id, Key, Timestamp


class ThrottleScope(StrEnum):
    """What an attempt was for: authapp's own scopes. Each scope is counted separately.

    Anybody can attempt a login. The two names of an account are counted apart: if failures under one made the other
    wait, that would reveal that both are one account. Only a live session can send a confirmation, for example to
    change the password.
    """

    LOGIN_BY_USERNAME = "login"
    LOGIN_BY_EMAIL = "login_by_email"
    CONFIRMATION = "confirmation"


class LoginThrottle(db.Model):  # type: ignore[name-defined,misc]
    """The consecutive failures of one account in one ``ThrottleScope`` (NIST SP 800-63B-4, section 3.2.2).

    ``account_id`` is the user's id, or an id derived from a name that no account has. Unknown names are counted like
    accounts, because a difference would reveal which accounts exist. A confirmation is counted under the id of its
    session, so that the thief of a token does not keep its owner, who logs in, from a new password. Therefore it is not
    a foreign key.
    """

    __tablename__ = "login_throttles"
    __table_args__ = (Index(None, "last_attempt_at"),)

    account_id: Mapped[Id] = mapped_column(primary_key=True)
    scope: Mapped[Key] = mapped_column("purpose", key="scope", primary_key=True)
    failures: Mapped[int] = mapped_column(Integer)
    last_attempt_at: Mapped[Timestamp]
    blocked_until: Mapped[Timestamp | None]


class AddressLimit(db.Model):  # type: ignore[name-defined,misc]
    """How much of one limit a client address has used: the theoretical arrival time of its next request (GCRA).

    The table is unlogged, so that counting a request does not wait for the disk. The price is that a crash of the
    database loses the counts, which cover about a minute.
    """

    __tablename__ = "address_limits"
    __table_args__ = (Index(None, "arrival_at"), {"prefixes": ["UNLOGGED"]})

    address: Mapped[Key] = mapped_column(primary_key=True)
    limit_name: Mapped[Key] = mapped_column(primary_key=True)
    arrival_at: Mapped[Timestamp]
