"""Clients that send without a pause."""

import socket
import threading
import time

UNBOUNDED = 12.0
"""Seconds for which a sender goes on that nobody hangs up on."""


class Sender(threading.Thread):
    """Sends ``head`` once and ``data`` until it is hung up on, or for ``seconds``."""

    def __init__(self, port: int, head: bytes, data: bytes, seconds: float = UNBOUNDED) -> None:
        super().__init__()
        self._port, self._head, self._data, self._seconds = port, head, data, seconds
        self.lasted = 0.0

    def run(self) -> None:
        start = time.monotonic()
        with socket.create_connection(("127.0.0.1", self._port), timeout=self._seconds) as client:
            try:
                client.sendall(self._head)
                while time.monotonic() < start + self._seconds:
                    client.sendall(self._data)
            except OSError:
                pass
        self.lasted = time.monotonic() - start
