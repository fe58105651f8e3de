"""The mark that some account may have a foreign hash: any that does not begin with ``$argon2id$``."""

from sqlalchemy import Boolean, CheckConstraint, ColumnElement, SmallInteger, func, literal_column, select
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.orm import Mapped, mapped_column

from authapp.database.session import Model
from authapp.models.columns import Timestamp
from authapp.models.user import FOREIGN_HASH

ONLY_ID = 1


class ForeignHashMark(Model):
    """One row while any account may have a foreign hash, and none otherwise.

    Each login by a password reads it. A look at the accounts themselves would take the longer, the more such hashes
    were replaced since the last vacuum: until then, the index has an entry for each. ``marked_at`` is PostgreSQL's
    time.
    """

    __tablename__ = "foreign_hash_marks"
    __table_args__ = (CheckConstraint(f"id = {ONLY_ID}", name="only_one"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    marked_at: Mapped[Timestamp]

    @classmethod
    def is_set(cls) -> ColumnElement[bool]:
        """Return the SQL expression that tells whether the mark is there."""
        return select(cls.__table__.c.id).exists()

    @classmethod
    def set_statement(cls) -> Insert:
        """Return the statement that sets the mark, for the transaction that stores such hashes.

        The row stays locked until the commit, so that nobody takes the mark away meanwhile.
        """
        marked_at = func.now()
        statement = insert(cls).values(id=ONLY_ID, marked_at=marked_at)
        return statement.on_conflict_do_update(index_elements=[cls.id], set_={"marked_at": marked_at})

    @classmethod
    def has_no_hashes(cls) -> ColumnElement[bool]:
        """Return the SQL condition that no account has a foreign hash."""
        # As text: PostgreSQL uses the index only for a condition without parameters.
        return ~literal_column(f"EXISTS (SELECT FROM users WHERE {FOREIGN_HASH})", Boolean)
