"""The counters of failed attempts. They are in the database so that all workers and nodes count together."""

from sqlalchemy import Index, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from authapp.database.session import Model
from authapp.models.columns import Id, Key, Timestamp


class Throttle(Model):
    """The consecutive failures of one account, name or session in one scope (NIST SP 800-63B-4, section 3.2.2).

    ``counted_id`` is the user's id, or an id derived from a name that no account has. Unknown names are counted like
    accounts, because a difference would reveal which accounts exist. A confirmation is counted under the id of its
    session, so that the thief of a token does not keep its owner, who logs in, from a new password. Therefore it is not
    a foreign key. After ``prune_after`` the row is deleted, or kept and looked at again later.

    The names of the table and of its columns are from when logins alone were counted. Nodes of the version before use
    them during an upgrade.
    """

    __tablename__ = "login_throttles"
    __table_args__ = (Index(None, "prune_after"),)

    counted_id: Mapped[Id] = mapped_column("account_id", key="counted_id", primary_key=True)
    scope: Mapped[Key] = mapped_column("purpose", key="scope", primary_key=True)
    failures: Mapped[int] = mapped_column(Integer)
    last_attempt_at: Mapped[Timestamp]
    blocked_until: Mapped[Timestamp | None]
    prune_after: Mapped[Timestamp] = mapped_column(server_default=text("now() + interval '30 days'"))
