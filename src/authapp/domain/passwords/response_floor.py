"""The time that a refused login takes at least, so that it does not tell which hash was computed for it."""

import time
from datetime import timedelta

from authapp.database import deadline
from authapp.domain.pruning import Prunable, prunables
from authapp.models import ForeignHashMark

MARK_LIFETIME = timedelta(minutes=10)
"""How old the mark must be before it is pruned.

An import that commits between the look at the accounts and the lock on the mark has renewed it, and PostgreSQL then
compares the new time.
"""

prunables.register(
    "foreign_hash_marks",
    Prunable(
        "foreign_hash_marks",
        ForeignHashMark.marked_at,
        lambda now: ForeignHashMark.is_outdated(before=now - MARK_LIFETIME),
    ),
)


class ResponseFloor:
    """Waits until a number of ``seconds`` has passed. The wait holds neither a turn to hash nor a connection."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def start(self) -> float:
        """Return when the work begins, for ``wait``."""
        return time.monotonic()

    def wait(self, start: float) -> None:
        """Wait until the floor after ``start``, unless it has passed."""
        with deadline.paused():
            time.sleep(max(0.0, start + self.seconds - time.monotonic()))
