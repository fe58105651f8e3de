"""The time that a refused login takes at least, so that it does not tell which hash was computed for it."""

import time

from authapp.database import deadline


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
