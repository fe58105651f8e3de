"""Ending PostgreSQL backends that still run a statement after its client has given up.

A commit that waits for a synchronous standby does not notice that its client is gone, and no server timeout ends it.
While the standby is down, each such write holds one more server connection, until none is left, not even for the
operator. PostgreSQL lets a role end its own backends.
"""

import time
from contextlib import suppress

from psycopg2 import Error
from psycopg2.extensions import connection

GRACE_TIMEOUTS = 2
"""After this many client timeouts, the client of a waiting commit has certainly given up."""

# No client has received a success for these commits. They are found by role and wait event and not by process id,
# because the process id is unknown behind a connection pooler.
_END = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE usename = current_user AND datname = current_database() AND application_name = current_setting('application_name')
AND wait_event = 'SyncRep' AND state_change < clock_timestamp() - make_interval(secs => %(seconds)s)
"""


class OrphanedBackends:
    """Ends orphaned backends some time after a write was abandoned, using any connection that answers."""

    def __init__(self, timeout: float, *, enabled: bool) -> None:
        """Take the client's ``timeout`` in seconds, and whether backends are ended at all."""
        self._seconds = GRACE_TIMEOUTS * timeout
        self._enabled = enabled
        self._due: float | None = None

    def record(self) -> None:
        """Record that a write has just been abandoned."""
        if self._enabled and self._due is None:
            self._due = time.monotonic() + self._seconds / 2

    def end(self, answering: connection) -> None:
        """End orphaned backends if it is time, using ``answering``, an autocommit connection that has just answered."""
        if self._due is None or time.monotonic() < self._due:
            return
        self._due = None
        with suppress(Error), answering.cursor() as cursor:
            cursor.execute(_END, {"seconds": self._seconds})
