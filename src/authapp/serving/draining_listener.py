"""A listener that serves the connections in its queue before it closes.

Names of gevent that this file depends on (tests/serving/test_gunicorn_names.py): ``StreamServer.do_read()``,
``do_handle(*args)``, ``stop_accepting()``, ``started``, ``backlog``, ``pool``, ``max_accept`` and ``close()``, of which
the last two are overridden.
"""

from gevent.server import StreamServer

MANY_CONNECTIONS = 100
"""With more connections than this, the loop is too slow to accept one in each of its iterations."""


class DrainingListener(StreamServer):  # type: ignore[misc]  # gevent has no types
    """gevent's server, except that ``close`` accepts what is already connected.

    The kernel resets connections that nobody accepted, and with them requests that a balancer sent and may not repeat.
    """

    shared = False
    """Whether other workers listen, too: each leaves some connections to them."""

    @property
    def max_accept(self) -> int:
        """Return how many connections to accept in one iteration of the loop."""
        crowded = self.pool is not None and self.pool.size - self.pool.free_count() > MANY_CONNECTIONS
        return 1 if self.shared and not crowded else 16

    def close(self) -> None:
        """Accept and serve the connections that are in the backlog, and no more than fit into it; then stop listening.

        A connection that is opened after that is reset, unless another process listens on the same socket.
        """
        self.stop_accepting()
        if self.started:
            self._drain()
        super().close()

    def _drain(self) -> None:
        for _ in range(self.backlog + 1):  # Linux queues one more than was asked for
            try:
                connection = self.do_read()
            except OSError:
                return
            if not connection:
                return
            self.do_handle(*connection)
