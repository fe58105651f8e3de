"""Writes lines of a log without ever waiting for its reader.

A reader that stops would otherwise hold every request: a write into a full pipe waits, and with it the event loop.
"""

import fcntl
import os
import select
import stat
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from typing import Any

PIPE_BYTES = 1 << 20
"""The bytes that a pipe is asked to hold, some seconds of a busy service: as much as Linux grants everybody."""

FREE_PAGES = 64
"""How many pages of a pipe are left free, at most half of them.

Workers look for room and then write: each of them could find the last room, and all but one would wait. ``O_NONBLOCK``
would be set for every process that has inherited the pipe.
"""


class LogOutput:
    """Where whole lines are written to, each at once."""

    def __init__(self, target: str | int) -> None:
        """Open the file that ``target`` names, or take a descriptor, which stays open. Raises ``OSError``."""
        self._owned = isinstance(target, str)
        # Without O_NONBLOCK, opening a named pipe waits for its reader.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK
        self._descriptor = os.open(target, flags, 0o640) if isinstance(target, str) else target
        mode = os.fstat(self._descriptor).st_mode
        self._is_file, self._is_pipe = stat.S_ISREG(mode), stat.S_ISFIFO(mode)
        if self._is_pipe:
            self._room = _room(self._descriptor)
        self._is_within_line = False

    @classmethod
    def of(cls, stream: Any) -> "LogOutput":
        """Return the output to a standard stream. Raises ``OSError`` or ``ValueError`` if it was closed."""
        if stream is None:
            raise OSError("the standard stream is closed")
        return cls(stream.fileno())

    def write(self, data: bytes) -> None:
        """Write ``data``, a line below 4,096 bytes. Raises ``OSError`` if there is no room for it now.

        If only a part of a line found room, the next line begins anew after it.
        """
        if not self._is_ready():
            raise BlockingIOError("nobody reads it")
        if self._is_within_line:
            data = b"\n" + data
        self._is_within_line = os.write(self._descriptor, data) < len(data)
        if self._is_within_line:
            raise OSError("only a part of a line could be written")

    def close(self) -> None:
        """Close the file."""
        if self._owned:
            os.close(self._descriptor)

    def _is_ready(self) -> bool:
        if self._is_file:
            return True
        if self._is_pipe:
            unread = fcntl.ioctl(self._descriptor, termios.FIONREAD, bytes(4))
            return int.from_bytes(unread, sys.byteorder) <= self._room
        # A socket that is ready has room for many lines.
        poll = _system_poll()
        poll.register(self._descriptor, select.POLLOUT)
        return bool(poll.poll(0))


class LineWriter:
    """Writes lines to an output, which it opens with the first, and counts those that it could not write."""

    lost = 0
    """How many lines could not be written so far."""

    reported = 0
    """How many of them were reported. The code that reports them sets it."""

    error: OSError | ValueError | None = None
    """Why the last of them could not be written."""

    def __init__(self, open_output: Callable[[], LogOutput]) -> None:
        """Take a function that opens the output. It may raise ``OSError``, or ``ValueError`` for a closed stream."""
        self._open_output = open_output
        self._output: LogOutput | None = None

    def write(self, data: bytes) -> bool:
        """Write ``data``, a line below 4,096 bytes; return whether that was possible. Never raises."""
        try:
            if self._output is None:
                self._output = self._open_output()
            self._output.write(data)
        except (OSError, ValueError) as error:
            self.lost += 1
            self.error = error
            return False
        return True

    def close(self) -> None:
        """Close the output; the next line opens it again."""
        if self._output is not None:
            self._output.close()
        self._output = None


def lost_lines(count: int) -> str:
    """Return the sentence in which a process reports how many lines it has lost."""
    return f"Lines lost since this process started: {count}"


def _system_poll() -> Any:
    """Return a poll object of the system, also where gevent has put its own there, which lets other greenlets run."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey.get_original("select", "poll")() if monkey else select.poll()


def _room(pipe: int) -> int:
    """Return how many bytes may be unread in ``pipe`` when the next line is written."""
    with suppress(OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    page = os.sysconf("SC_PAGE_SIZE")
    pages = fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) // page
    # Lines share a page where both fit, so that two pages that follow each other hold one page of bytes at least.
    return (pages - min(FREE_PAGES, pages // 2)) * page // 2
