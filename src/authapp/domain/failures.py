"""Logging what failed where nobody is answered."""

import logging
import traceback

from sqlalchemy.exc import SQLAlchemyError

from authapp.database.reasons import reason


def log_failure(logger: logging.Logger, failure: str, error: Exception) -> None:
    """Log ``failure``, the type of the error, the reason if the database gave one, and the place; not its message.

    A message may quote values: PostgreSQL's has those of the statement, such as password hashes and email addresses.
    """
    place = "".join(traceback.format_tb(error.__traceback__))
    why = reason(error) if isinstance(error, SQLAlchemyError) else None
    kind = type(error).__name__
    logger.error("%s: %s, at\n%s", failure, f"{kind} ({why})" if why else kind, place)
