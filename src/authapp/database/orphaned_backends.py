"""Backends of PostgreSQL that go on with a statement whose client gave up.

A commit that waits for a synchronous standby does not notice that its client is gone, and no timeout of the server's
ends it: while the standby is away each such write would hold one more of the server's connections, until there is none
left, not even for the operator. PostgreSQL lets a role end its own backends.
"""

import time
from contextlib import suppress

from psycopg2 import Error
from psycopg2.extensions import connection

GRACE_TIMEOUTS = 2
"""A commit that has waited for this many timeouts was given up by its client."""

# Whatever this ends was acknowledged to nobody. Behind a pooler the process id is not known, but all of this is.
_END = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE usename = current_user AND datname = current_database() AND application_name = 'authapp'
AND wait_event = 'SyncRep' AND state_change < clock_timestamp() - make_interval(secs => %(seconds)s)
"""


class OrphanedBackends:
    """Ends orphaned backends from a connection that answers, some time after a write was given up."""

    def __init__(self, timeout: float, *, enabled: bool) -> None:
        """Take after how many seconds a statement is given up, and whether backends are ended at all."""
        self._seconds = GRACE_TIMEOUTS * timeout
        self._enabled = enabled
        self._due: float | None = None

    def note(self) -> None:
        """Remember that a write was given up now."""
        if self._enabled and self._due is None:
            self._due = time.monotonic() + self._seconds / 2

    def end(self, answering: connection) -> None:
        """End them by way of ``answering``, a connection in autocommit that has just answered, when it is time."""
        if self._due is None or time.monotonic() < self._due:
            return
        self._due = None
        with suppress(Error), answering.cursor() as cursor:
            cursor.execute(_END, {"seconds": self._seconds})
