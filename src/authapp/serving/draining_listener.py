"""A listener that serves the connections in its queue before it closes.

Names of gevent that this file depends on (tests/serving/test_gunicorn_names.py): ``StreamServer.do_read()``,
``do_handle(*args)``, ``started`` and ``close()``, of which ``close`` is overridden.
"""

import contextlib

from gevent.server import StreamServer


class DrainingListener(StreamServer):  # type: ignore[misc]  # gevent has no types
    """gevent's server, except that ``close`` accepts what is already connected.

    The kernel resets connections that nobody accepted, and with them requests that a balancer sent and may not repeat.
    """

    def close(self) -> None:
        """Accept and serve every connection in the backlog, then stop listening."""
        with contextlib.suppress(OSError):
            while self.started and (connection := self.do_read()):
                self.do_handle(*connection)
        super().close()
