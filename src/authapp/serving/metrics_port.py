"""The port of the metrics: the master takes it, and each worker answers scrapes for all.

Names of gunicorn that this file depends on, and that no document promises (tests/serving/test_gunicorn_names.py):
``gunicorn.util.parse_address(text)``, and the variable ``GUNICORN_PID``, which a master has while the one that it takes
over from runs.
"""

import logging
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gevent
import gevent.socket
from gunicorn.util import parse_address

from authapp.serving.metrics_folder import MetricsFolder
from authapp.serving.scrapes import ScrapeServer

DEFAULT_BIND = "127.0.0.1:9464"

TAKEOVER_SECONDS = 1.0
"""How often a worker looks whether the old program has ended."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MetricsPort:
    """The port of the metrics, which the master takes and every worker answers at, and the folder they count in."""

    listener: socket.socket
    folder: MetricsFolder

    def serve(self, make_server: Callable[[Any, str], ScrapeServer]) -> None:
        """Answer scrapes beside the requests. ``make_server`` takes the socket and the folder.

        While an old program and its successor run (USR2), the old one answers: each has its own counts, and Prometheus
        takes a count that goes down for one that began anew.
        """
        gevent.spawn(self._serve, make_server)

    def _serve(self, make_server: Callable[[Any, str], ScrapeServer]) -> None:
        while (old_master := _old_master()) and _runs(old_master):
            gevent.sleep(TAKEOVER_SECONDS)
        try:
            # The master of a program that takes over from no other has done so already, which makes no difference.
            self.listener.listen()
        except OSError as error:
            logger.warning("no scrape is answered, because nothing can listen at the port: %s", error.strerror)
            return
        # The master's socket is none of gevent's.
        listener = gevent.socket.socket(self.listener.family, self.listener.type, fileno=self.listener.fileno())
        make_server(listener, self.folder.path).start()


def on_starting(server: Any) -> None:
    """Take the port, and make the folder (gunicorn's hook, in the master)."""
    server.metrics_port = None
    if os.environ.get("AUTHAPP_METRICS", "").strip() != "on":
        return
    bind = os.environ.get("AUTHAPP_METRICS_BIND", "").strip() or DEFAULT_BIND
    address = parse_address(bind)
    if any(_overlap(address, other) for other in server.cfg.address):
        sys.exit(f"AUTHAPP_METRICS_BIND={bind} is the address of the API. Set another port.")
    try:
        listener = _bind(address)
    except OSError as error:
        sys.exit(f"Nothing can listen at AUTHAPP_METRICS_BIND={bind}: {error.strerror}.")
    # As root, gunicorn may run its workers as another account.
    owner = (server.cfg.uid, server.cfg.gid) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    try:
        folder = MetricsFolder.make(owner)
    except OSError as error:
        sys.exit(f"No folder can be made for AUTHAPP_METRICS: {error.strerror}.")
    server.metrics_port = MetricsPort(listener, folder)
    server.log.info("Metrics at http://%s:%s/metrics", *listener.getsockname()[:2])


def _overlap(address: tuple[str, int], other: Any) -> bool:
    """Tell whether two addresses have a port in common. ``other`` may be a Unix socket or a file descriptor."""
    if not isinstance(other, tuple) or address[1] != other[1]:
        return False
    return address[0] == other[0] or bool({address[0], other[0]} & {"0.0.0.0", "::"})  # noqa: S104 - compared only


def _old_master() -> int | None:
    """Return the process that this program takes over from (USR2). Workers that start after its end have none."""
    pid = os.environ.get("GUNICORN_PID")
    return int(pid) if pid else None


def _bind(address: tuple[str, int]) -> socket.socket:
    """Return a socket that listens at the port, or has it while the program that this one takes over from listens."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    dualstack = address[0] == "::" and socket.has_dualstack_ipv6()
    is_alone = _old_master() is None
    if is_alone:
        # Fails if another service has the port: scrapes would be dealt out between the two.
        socket.create_server(address, family=family, dualstack_ipv6=dualstack).close()
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # The old master has the port, too.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not dualstack)
    listener.bind(address)
    if is_alone:
        listener.listen()
    return listener


def on_exit(server: Any) -> None:
    """Remove the folder (gunicorn's hook, in the master)."""
    if getattr(server, "metrics_port", None):
        server.metrics_port.folder.remove()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it runs as another account
        pass
    return True
