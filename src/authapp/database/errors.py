"""What an error of PostgreSQL means."""

from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

_OUTAGES = ("08", "25006", "40", "42703", "42P01", "53", "55", "57", "58")
"""SQLSTATEs, whole or by class, that pass: the server is unreachable, read-only, busy, full, or not migrated yet."""


def is_outage(error: SQLAlchemyError) -> bool:
    """Tell an error of the database that will pass from a mistake of ours, which will not."""
    if isinstance(error, DBAPIError):
        if code := sqlstate(error):
            return code.startswith(_OUTAGES)
        return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
    return isinstance(error, PoolTimeout)


def sqlstate(error: SQLAlchemyError) -> str | None:
    """Return the SQLSTATE that PostgreSQL answered with, if it answered."""
    code = getattr(getattr(error, "orig", None), "pgcode", None)
    return str(code) if code else None


def broken_constraint(error: BaseException | None) -> str | None:
    """Return the name of the constraint that a statement broke, or ``None`` for any other error."""
    if not isinstance(error, IntegrityError):
        return None
    name = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    return str(name) if name else None
