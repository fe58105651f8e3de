"""Health: whether the database can be asked, and has the tables that this version needs."""

from sqlalchemy import Column, MetaData, String, Table, func, select
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError

from authapp.database.prepared import Prepared
from authapp.extensions import db
from authapp.models import SCHEMA_REVISION

_VERSION = Prepared(
    select(
        Table("alembic_version", MetaData(), Column("version_num", String)).c.version_num,
        func.current_setting("transaction_read_only").label("read_only"),
    )
)


class Health:
    """The use case of readiness."""

    def problems(self) -> dict[str, str]:
        """Return what is wrong, by component (``database``, ``migrations``), a sentence each; or nothing."""
        try:
            row = db.read_one(_VERSION, {})
        except ProgrammingError:
            return {"migrations": "The database has not been migrated: run `flask db upgrade`."}
        except SQLAlchemyError:
            return {"database": "The database cannot be asked."}
        if row is not None and row.read_only == "on":
            return {"database": "The database is read-only: a standby, or in the middle of a failover."}
        if row is None or row.version_num != SCHEMA_REVISION:
            found = row.version_num if row else "none"
            return {
                "migrations": f"The database is at migration {found}, and this version needs {SCHEMA_REVISION}: "
                "run `flask db upgrade`."
            }
        return {}
