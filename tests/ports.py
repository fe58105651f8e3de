"""Ports for servers, which no other worker of the run is given and no client's connection takes."""

import itertools
import os
import random
import socket
from collections.abc import Iterator, Mapping

FIRST, LAST = 16_000, 32_000
"""Below the ports that Linux gives to outgoing connections, which could take that of a server about to start."""


def ports_of_worker(variables: Mapping[str, str]) -> range:
    """Return the ports of one pytest-xdist worker, or all if ``variables`` name none."""
    worker = int(variables.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return range(FIRST + worker, LAST, int(variables.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def free_port() -> int:
    """Return a port of this worker that nobody listens on, and that it has not returned for long."""
    return next(port for port in _candidates if _is_free(port))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: what lingers of closed connections is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _cycle(ports: range) -> Iterator[int]:
    # From a random one on, so that two runs on one machine seldom try the same port at the same time.
    start = random.randrange(len(ports))
    return itertools.cycle([*ports[start:], *ports[:start]])


_candidates = _cycle(ports_of_worker(os.environ))
