"""Reading what a server of others sends, up to a limit of bytes.

A time limit is not enough: an event loop runs nobody else, and no timer, while a greenlet reads from a socket that
always has more. So a server that sends lines without end would stop a worker.
"""

import io
import socket


class ReadLimitExceeded(Exception):
    """A server has sent more than it may. No ``OSError``, which libraries take for the end of a connection."""


class LimitedReader(io.BufferedReader):
    """A buffered file that reads from a connection, and at most ``max_bytes`` until ``allow`` is called again."""

    raw: "_LimitedFile"

    def __init__(self, connection: socket.socket, max_bytes: int) -> None:
        super().__init__(_LimitedFile(connection, max_bytes))

    def allow(self, max_bytes: int) -> None:
        """Let the next ``max_bytes`` be read. Reading on then raises ``ReadLimitExceeded``."""
        self.raw.left = max_bytes


class _LimitedFile(io.RawIOBase):
    def __init__(self, connection: socket.socket, max_bytes: int) -> None:
        self._file = connection.makefile("rb", buffering=0)
        self.left = max_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]
        if self.left <= 0:
            raise ReadLimitExceeded
        count = self._file.readinto(buffer)
        self.left -= count or 0
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
