"""Classifying errors of PostgreSQL."""

from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

_OUTAGES = ("08", "25006", "40", "42501", "42703", "42P01", "53", "55", "57", "58")
"""SQLSTATEs and classes of temporary errors.

The server is unreachable, read-only, busy or full, or the tables are not yet migrated, or not yet granted to the role.
"""

_GIVEN_UP = ("40", "55P03", "57014")
"""A deadlock or conflict, a lock that was not given, a statement that took too long: its transaction is undone."""


def is_outage(error: SQLAlchemyError) -> bool:
    """Return whether the error is temporary, and not a bug in a statement."""
    if isinstance(error, DBAPIError):
        if code := sqlstate(error):
            return code.startswith(_OUTAGES)
        return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
    return isinstance(error, PoolTimeout)


def was_given_up(error: SQLAlchemyError) -> bool:
    """Return whether PostgreSQL answered that it gave the statement up: it took too long, or waited for others."""
    return (sqlstate(error) or "").startswith(_GIVEN_UP)


def sqlstate(error: SQLAlchemyError) -> str | None:
    """Return the SQLSTATE of PostgreSQL's answer, or ``None`` if it did not answer."""
    code = getattr(getattr(error, "orig", None), "pgcode", None)
    return str(code) if code else None


def broken_constraint(error: BaseException | None) -> str | None:
    """Return the name of the constraint that a statement violated, or ``None`` for any other error."""
    if not isinstance(error, IntegrityError):
        return None
    name = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    return str(name) if name else None
