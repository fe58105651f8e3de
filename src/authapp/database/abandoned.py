"""Statements that were given up, and that the server goes on with.

A commit that waits for a synchronous standby does not notice that its client is gone, and no timeout of the server's
ends it: while the standby is away each such write would hold one more of the server's connections, until there is none
left, not even for the operator. PostgreSQL lets a role end its own backends.
"""

import time
from contextlib import suppress

from psycopg2 import Error

from authapp.database.waiting import BoundedConnection

TIMES = 2
"""A commit that waits for so many times the timeout has been given up by whoever asked for it."""

# Whatever this ends was acknowledged to nobody. Behind a pooler the process id is not known, but all of this is.
_END = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE usename = current_user AND datname = current_database() AND application_name = 'authapp'
AND wait_event = 'SyncRep' AND state_change < clock_timestamp() - make_interval(secs => %(seconds)s)
"""


class Abandoned:
    """Ends what was given up and is still held by the server, once an answering connection is there."""

    def __init__(self, timeout: float) -> None:
        """Take after how many seconds a statement is given up."""
        self._seconds = TIMES * timeout
        self._due: float | None = None

    def add(self) -> None:
        """Note that a write was given up just now."""
        if self._due is None:
            self._due = time.monotonic() + self._seconds / 2

    def sweep(self, connection: BoundedConnection) -> None:
        """End them by way of ``connection``, which has just answered, when it is time."""
        if self._due is None or time.monotonic() < self._due:
            return
        self._due = None
        with suppress(Error), connection.cursor() as cursor:
            cursor.execute(_END, {"seconds": self._seconds})
