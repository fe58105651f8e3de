"""For work that runs beside the requests for as long as its process does."""

import time
from collections.abc import Callable

STEP_SECONDS = 1.0
"""How often a sleeping task looks whether its process stops."""


def sleep(seconds: float, running: Callable[[], bool]) -> None:
    """Sleep for ``seconds``, or until ``running`` returns false."""
    end = time.monotonic() + seconds
    while running() and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, STEP_SECONDS))
