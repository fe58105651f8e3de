"""The counters of the rate limits by client address, in the database so that all workers and nodes count together."""

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from authapp.database.session import db
from authapp.models.columns import Key, Timestamp


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
