"""A bulkhead for password hashing: a flood of logins cannot take the memory and CPU that other requests need."""

import contextlib
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, TypeVar

from authapp import metrics, native_threads
from authapp.errors import ServiceUnavailable

T = TypeVar("T")

NICENESS = 10
THIS_THREAD = 0
"""The id of the current thread for ``setpriority`` on Linux, where each thread has its own priority."""

WEIGHT = 0.25
"""How much the latest turn counts in the moving average of their times."""


class _Waiter:
    """A client in the queue: whether it has hung up, and the event that ends its wait."""

    __slots__ = ("dropped", "is_gone", "woken")

    def __init__(self, is_gone: Callable[[], bool]) -> None:
        self.is_gone = is_gone
        self.dropped = False
        # Under gevent this is a gevent event, because gevent patches threading: a waiter holds no thread.
        self.woken = threading.Event()


class Bulkhead:
    """Runs hashes on separate threads, at most ``concurrency`` at once. Further ones wait, first come first served.

    The queue is bounded by time. A request that would have to wait longer than ``longest_wait`` seconds, by the
    measured time of a turn, is refused at once; one that has waited that long all the same is refused then. Requests of
    clients that hang up while they wait are dropped.
    """

    def __init__(self, *, concurrency: int, longest_wait: float, seconds: float) -> None:
        """Set the limits; ``seconds`` is what a turn is expected to take until some have been measured."""
        self._concurrency = self._free = concurrency
        self._longest_wait = longest_wait
        self._seconds = seconds
        self._waiters: deque[_Waiter] = deque()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def turn(self, is_gone: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Wait for a thread, hold it within the block, and measure for how long.

        Raises ``ServiceUnavailable`` if the wait would be too long, or if the client has gone meanwhile.
        """
        self._enter(is_gone)
        start = time.monotonic()
        metrics.HASHES_RUNNING.inc()
        try:
            yield
            # The whole turn, since others wait for all of it. A turn that failed does not count: it may have hashed
            # nothing, and a flood of those would make the queue look short.
            self._seconds += WEIGHT * (time.monotonic() - start - self._seconds)
        finally:
            metrics.HASHES_RUNNING.dec()
            self._leave()

    def _enter(self, is_gone: Callable[[], bool]) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            self._require_room()
            waiter = _Waiter(is_gone)
            self._waiters.append(waiter)
        metrics.HASHES_WAITING.inc()
        try:
            self._wait(waiter)
        finally:
            metrics.HASHES_WAITING.dec()

    def _leave(self) -> None:
        """Pass the thread on to the request that has waited longest."""
        with self._lock:
            if self._waiters:
                self._waiters.popleft().woken.set()
            else:
                self._free += 1

    def run(self, work: Callable[..., T], *arguments: object) -> T:
        """Return ``work(*arguments)``, computed on a thread of the bulkhead. The caller must have a turn."""
        result: T = self._threads.submit(_run_with_low_priority, work, arguments).result()
        return result

    @property
    def _expected_wait(self) -> float:
        return (len(self._waiters) + 1) * self._seconds / self._concurrency

    def _require_room(self) -> None:
        if self._expected_wait > self._longest_wait:
            self._drop_gone()
        if (wait := self._expected_wait) > self._longest_wait:
            raise _too_many(wait)

    def _drop_gone(self) -> None:
        # Only when there is no room: otherwise a client that has gone is noticed when its turn comes.
        for waiter in [waiter for waiter in self._waiters if waiter.is_gone()]:
            self._waiters.remove(waiter)
            waiter.dropped = True
            waiter.woken.set()

    def _wait(self, waiter: _Waiter) -> None:
        try:
            # The expectation may be wrong, for example on a machine that has become slow.
            woken = waiter.woken.wait(self._longest_wait)
        except BaseException:
            self._give_up(waiter)
            raise
        if not woken:
            self._give_up(waiter)
            raise _too_many(self._expected_wait)
        if waiter.dropped:
            raise _gone()
        if waiter.is_gone():
            self._leave()
            raise _gone()

    def _give_up(self, waiter: _Waiter) -> None:
        """Leave the queue, or pass the thread on if it was handed over in the meantime."""
        with self._lock:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
                return
        if not waiter.dropped:
            self._leave()

    @cached_property
    def _threads(self) -> Any:
        # Created at the first hash, because threads do not survive the fork of a worker.
        return native_threads.executor(self._concurrency)


def _too_many(wait: float) -> ServiceUnavailable:
    metrics.HASHES_REFUSED.inc()
    return ServiceUnavailable("Too many passwords are being checked at once.", retry_after=max(1, math.ceil(wait)))


def _gone() -> ServiceUnavailable:
    return ServiceUnavailable("The client hung up before its password was checked.", retry_after=1)


def _run_with_low_priority(work: Callable[..., T], arguments: tuple[object, ...]) -> T:
    """Return ``work(*arguments)``, computed at low CPU priority so that other requests go first.

    On Linux each thread has its own niceness.
    """
    with contextlib.suppress(OSError, AttributeError):
        niceness = max(NICENESS, os.getpriority(os.PRIO_PROCESS, THIS_THREAD))
        os.setpriority(os.PRIO_PROCESS, THIS_THREAD, niceness)
    return work(*arguments)
