"""The connections of a worker, and which of them goes when there are too many."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from authapp.domain.ip_addresses import client_network
from authapp.serving.client_socket import ClientSocket


def for_clients(worker_connections: int) -> int:
    """Return how many connections clients may keep: some are left, so that there is always one to accept a client with.

    A worker with one connection has none to leave.
    """
    return max(1, worker_connections - max(1, worker_connections // 10))


class Connections:
    """Keeps room for a new client: above ``limit`` connections, each new one makes it close an idle one.

    Slow clients that fill a worker would keep everybody else in the queue of the kernel.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._count = 0
        self._of_network: defaultdict[str, set[ClientSocket]] = defaultdict(set)

    @contextmanager
    def registered(self, client: ClientSocket, peer: Any) -> Iterator[None]:
        """Count ``client`` while the block runs; ``peer`` is its address as ``accept`` returns it."""
        network = client_network(str(peer[0]) if isinstance(peer, tuple) else None)
        if self._count >= self._limit:
            self._drop_one()
        self._count += 1
        self._of_network[network].add(client)
        try:
            yield
        finally:
            self._count -= 1
            self._of_network[network].discard(client)
            if not self._of_network[network]:
                del self._of_network[network]

    def _drop_one(self) -> None:
        """Close the connection that has been waited for longest, of the network with the most connections.

        It is what the limits count as one client: a client with one IPv6 address has the whole /64 to connect from. A
        worker waits for a client to send its request, to get its turn, and to take an answer. It closes none while the
        application works on a request: if it works on all of them, there are more connections than the limit.
        """
        for clients in sorted(self._of_network.values(), key=len, reverse=True):
            waited_for = [(client.wait.since, client) for client in clients if client.wait.since is not None]
            if waited_for:
                min(waited_for, key=lambda pair: pair[0])[1].drop()
                return
