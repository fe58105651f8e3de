"""Health: whether the database answers, and has the tables that this version needs."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from authapp.database.migrations import MigrationFolder
from authapp.database.session import read_one
from authapp.errors import FieldError, ServiceUnavailable


class Health:
    """Checks whether the service is ready for requests."""

    def __init__(self, migrations: Sequence[MigrationFolder]) -> None:
        """Take the folders of migrations that must have been applied to the database."""
        self._migrations = migrations

    def require_ready(self) -> None:
        """Raise ``ServiceUnavailable``, with a field error for each component that has a problem, unless ready."""
        if problems := self.problems():
            field_errors = [FieldError(f"#/{component}", sentence) for component, sentence in problems.items()]
            raise ServiceUnavailable(" ".join(problems.values()), field_errors=field_errors)

    def problems(self) -> dict[str, str]:
        """Return a sentence for each component with a problem (``database``, ``migrations``); empty if ready."""
        try:
            row = read_one(select(func.current_setting("transaction_read_only").label("read_only")))
            if row is not None and row.read_only == "on":
                return {"database": "The database is read-only: a standby, or in the middle of a failover."}
            behind = [problem for folder in self._migrations if (problem := folder.problem())]
        except SQLAlchemyError:
            return {"database": "The database cannot be asked."}
        return {"migrations": behind[0]} if behind else {}
