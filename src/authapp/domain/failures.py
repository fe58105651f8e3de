"""Logging and storing why something failed where nobody is answered."""

import logging
import traceback

from sqlalchemy.exc import SQLAlchemyError

from authapp.database.reasons import reason

REASON_MAX_LENGTH = 500


def log_failure(logger: logging.Logger, failure: str, error: Exception) -> None:
    """Log ``failure``, the type of the error, the reason if the database gave one, and the place; not its message.

    A message may quote values: PostgreSQL's has those of the statement, such as password hashes and email addresses.
    """
    place = "".join(traceback.format_tb(error.__traceback__))
    why = reason(error) if isinstance(error, SQLAlchemyError) else None
    kind = type(error).__name__
    logger.error("%s: %s, at\n%s", failure, f"{kind} ({why})" if why else kind, place)


def printable(text: str) -> str:
    """Return a text of others in one printable line, cut to ``REASON_MAX_LENGTH``.

    The database cannot store a NUL or a lone surrogate, and a terminal obeys control characters.
    """
    line = " ".join(text.split())[:REASON_MAX_LENGTH]
    return "".join(character if character.isprintable() else "?" for character in line)
