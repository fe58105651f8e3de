"""The bulkhead of password hashing: a flood of logins can take neither the memory nor the processors of the rest."""

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, TypeVar

from authapp.errors import ServiceUnavailable

T = TypeVar("T")

NICENESS = 10
THIS_THREAD = 0
"""For ``setpriority`` on Linux, which has a priority for each thread."""


class Bulkhead:
    """Runs hashes on threads of their own, no more at once than it was given, with a short queue before them."""

    def __init__(self, *, concurrency: int, queue: int) -> None:
        """Take how many hashes are computed at once, and how many more may wait."""
        self._concurrency = concurrency
        self._slots = threading.BoundedSemaphore(concurrency + queue)

    @contextlib.contextmanager
    def admit(self) -> Iterator[None]:
        """Hold a place, running or waiting. Raises ``ServiceUnavailable`` at once when there is none.

        Whoever waits holds a connection of the server, and would have gone before a long queue came to them.
        """
        if not self._slots.acquire(blocking=False):
            raise ServiceUnavailable("Too many passwords are being checked at once.", retry_after=1)
        try:
            yield
        finally:
            self._slots.release()

    def run(self, work: Callable[..., T], *arguments: object) -> T:
        """Return ``work(*arguments)``, computed on a thread of the bulkhead; only while holding a place."""
        result: T = self._threads.submit(_step_back_and_do, work, arguments).result()
        return result

    @cached_property
    def _threads(self) -> Any:
        # Made at the first hash: threads do not survive the fork of a worker.
        return _native_threads()(self._concurrency)


def _native_threads() -> Any:
    """Return the executor whose threads are the operating system's, and not greenlets, which would stop the loop."""
    monkey: Any = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        from gevent.threadpool import ThreadPoolExecutor as NativeThreadPoolExecutor  # noqa: PLC0415

        return NativeThreadPoolExecutor
    return ThreadPoolExecutor


def _step_back_and_do(work: Callable[..., T], arguments: tuple[object, ...]) -> T:
    """Leave the processor to requests that need it for a moment; on Linux, niceness is a thread's own."""
    with contextlib.suppress(OSError, AttributeError):
        niceness = max(NICENESS, os.getpriority(os.PRIO_PROCESS, THIS_THREAD))
        os.setpriority(os.PRIO_PROCESS, THIS_THREAD, niceness)
    return work(*arguments)
