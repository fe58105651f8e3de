"""Health: whether the database can be asked, and has the tables that this version needs."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from authapp.database.migrations import MigrationFolder
from authapp.database.session import read_one


class Health:
    """The use case of readiness."""

    def __init__(self, migrations: Sequence[MigrationFolder]) -> None:
        """Take the folders of migrations that the database must be at, or past."""
        self._migrations = migrations

    def problems(self) -> dict[str, str]:
        """Return what is wrong, by component (``database``, ``migrations``), a sentence each; or nothing."""
        try:
            row = read_one(select(func.current_setting("transaction_read_only").label("read_only")))
            if row is not None and row.read_only == "on":
                return {"database": "The database is read-only: a standby, or in the middle of a failover."}
            behind = [problem for folder in self._migrations if (problem := folder.problem())]
        except SQLAlchemyError:
            return {"database": "The database cannot be asked."}
        return {"migrations": behind[0]} if behind else {}
