"""The counters of the rate limits. They are in the database so that all workers and nodes count together."""

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from authapp.database.session import Model
from authapp.models.columns import Key, Timestamp


class RateLimitCounter(Model):
    """How much of one limit a client, a mailbox or an API key has used.

    ``counted_key`` is the client's network (``client_network``), the hash of the address that a mail goes to, or
    ``api_key:`` and the id of a key. ``arrival_at`` is the theoretical arrival time of the next request (GCRA).

    The names of the table and of its first column are from when addresses alone were counted. Nodes of the version
    before use them during an upgrade.

    The table is unlogged, so that counting a request does not wait for the disk. The price is that a crash of the
    database loses the counts, which cover about a minute.
    """

    __tablename__ = "address_limits"
    __table_args__ = (Index(None, "arrival_at"), {"prefixes": ["UNLOGGED"]})

    counted_key: Mapped[Key] = mapped_column("address", key="counted_key", primary_key=True)
    limit_name: Mapped[Key] = mapped_column(primary_key=True)
    arrival_at: Mapped[Timestamp]
