"""Logging what failed where nobody is answered."""

import logging
import traceback

from sqlalchemy.exc import SQLAlchemyError

from authapp.database.reasons import reason


def log_failure(logger: logging.Logger, event: str, error: Exception) -> None:
    """Log the type of an error, the reason if it is one of the database, and its place in the code; not its message.

    A message may quote values: PostgreSQL's has those of the statement, such as password hashes and email addresses.
    """
    place = "".join(traceback.format_tb(error.__traceback__))
    why = reason(error) if isinstance(error, SQLAlchemyError) else None
    kind = type(error).__name__
    logger.error("%s: %s, at\n%s", event, f"{kind} ({why})" if why else kind, place)
