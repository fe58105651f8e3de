"""A bulkhead for password hashing: a flood of logins cannot take the memory and CPU that other requests need."""

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
"""The id of the current thread for ``setpriority`` on Linux, where each thread has its own priority."""


class Bulkhead:
    """Runs hashes on separate threads: at most ``concurrency`` at once, with at most ``queue`` more waiting."""

    def __init__(self, *, concurrency: int, queue: int) -> None:
        """Set how many hashes are computed at once, and how many more may wait."""
        self._concurrency = concurrency
        self._slots = threading.BoundedSemaphore(concurrency + queue)

    @contextlib.contextmanager
    def admit(self) -> Iterator[None]:
        """Hold a place, running or waiting. Raises ``ServiceUnavailable`` at once when there is none.

        The queue is short because each waiting client holds a server connection, and would time out in a long queue.
        """
        if not self._slots.acquire(blocking=False):
            raise ServiceUnavailable("Too many passwords are being checked at once.", retry_after=1)
        try:
            yield
        finally:
            self._slots.release()

    def run(self, work: Callable[..., T], *arguments: object) -> T:
        """Return ``work(*arguments)``, computed on a thread of the bulkhead. The caller must hold a place."""
        result: T = self._threads.submit(_run_with_low_priority, work, arguments).result()
        return result

    @cached_property
    def _threads(self) -> Any:
        # Created at the first hash, because threads do not survive the fork of a worker.
        return _native_threads()(self._concurrency)


def _native_threads() -> Any:
    """Return an executor that uses operating system threads: a hash in a greenlet would block the event loop."""
    monkey: Any = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        from gevent.threadpool import ThreadPoolExecutor as NativeThreadPoolExecutor  # noqa: PLC0415

        return NativeThreadPoolExecutor
    return ThreadPoolExecutor


def _run_with_low_priority(work: Callable[..., T], arguments: tuple[object, ...]) -> T:
    """Return ``work(*arguments)``, computed at low CPU priority so that other requests go first.

    On Linux each thread has its own niceness.
    """
    with contextlib.suppress(OSError, AttributeError):
        niceness = max(NICENESS, os.getpriority(os.PRIO_PROCESS, THIS_THREAD))
        os.setpriority(os.PRIO_PROCESS, THIS_THREAD, niceness)
    return work(*arguments)
