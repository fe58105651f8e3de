"""How slowly a client may take an answer."""

WRITE_SECONDS = 5.0
WRITE_RATE = 16 * 1024
"""An answer may wait for its client for ``WRITE_SECONDS`` at once, and in total for as long, and a second more for each
``WRITE_RATE`` bytes that the client has taken."""

SEND_BUFFER = 128 * 1024
"""Bytes that the kernel keeps for a client that has not taken them yet; otherwise it would be millions."""


class WriteTimeout:
    """Counts what a client has taken of one answer, and how long it was waited for."""

    def __init__(self) -> None:
        self.sent = 0
        """Bytes that were written."""
        self._waited = 0.0

    def seconds(self) -> float:
        """Return how long the next write may wait; never 0, so that a client goes on that has just made room."""
        taken = max(self.sent - SEND_BUFFER, 0)
        return min(max(WRITE_SECONDS + taken / WRITE_RATE - self._waited, 0.001), WRITE_SECONDS)

    def count(self, sent: int, seconds: float) -> None:
        """Count a write of ``sent`` bytes that waited for ``seconds``."""
        self.sent += sent
        self._waited += seconds
