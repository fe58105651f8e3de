"""For work that runs beside the requests for as long as its process does."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from authapp.database.reasons import reason
from authapp.domain.failures import log_failure

STEP_SECONDS = 1.0
"""How often a sleeping task looks whether its process stops."""

logger = logging.getLogger(__name__)

T = TypeVar("T")


def sleep(seconds: float, running: Callable[[], bool]) -> None:
    """Sleep for ``seconds``, or until ``running`` returns false."""
    end = time.monotonic() + seconds
    while running() and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, STEP_SECONDS))


def survive(work: Callable[[], T], failure: str) -> T | None:
    """Do ``work``, and return what it returns. If it raises, log ``failure`` and why: the next turn may succeed."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - whatever it is, the next turn may succeed
        why = reason(error) if isinstance(error, SQLAlchemyError) else None
        if why:
            logger.warning("%s: the database cannot be asked: %s", failure, why)
        else:
            log_failure(logger, failure, error)
    return None
