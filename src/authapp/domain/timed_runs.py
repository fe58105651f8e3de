"""Calls that are waited for no longer than a time limit, and do not pile up when they hang."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Generic, TypeVar

from authapp.database import deadline
from authapp.domain.failures import log_failure

logger = logging.getLogger(__name__)

T = TypeVar("T")


class TimedRun(Generic[T]):
    """One call, in a thread and an application context of its own."""

    def __init__(self, call: Callable[[], T], seconds: float, app_context: Callable[[], AbstractContextManager[Any]]):
        """Start the call. What waits for the database in it gives up after ``seconds``, when nobody waits for it."""
        self._call, self._seconds, self._app_context = call, seconds, app_context
        self._until = time.monotonic() + seconds
        self._returned: list[T] = []
        # The process does not wait for it at its end.
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Tell whether the call goes on."""
        return self._thread.is_alive()

    def outcome(self) -> T:
        """Return what the call returns. Raises ``TimeoutError`` if it has not by the end of its time, or has raised."""
        self._thread.join(max(0.0, self._until - time.monotonic()))
        if not self._returned:
            raise TimeoutError(f"no answer in {round(self._seconds, 2):g} s")
        return self._returned[0]

    def _work(self) -> None:
        try:
            with deadline.within(self._seconds), self._app_context():
                # Before the context ends: a teardown of others that raises takes nothing from what was returned.
                self._returned.append(self._call())
        except Exception as error:  # noqa: BLE001 - of whatever others have registered
            log_failure(logger, "a call with a time limit failed", error)


class TimedRuns(Generic[T]):
    """The runs that go on, by name.

    A thread cannot be ended from outside. One whose call hangs goes on, and until its end no other thread makes the
    same call: so calls that hang hold one thread each, however often they are asked for.
    """

    def __init__(self, app_context: Callable[[], AbstractContextManager[Any]]) -> None:
        """Take the function that opens an application context."""
        self._app_context = app_context
        self._running: dict[str, TimedRun[T]] = {}
        self._lock = threading.Lock()

    def join_or_start(self, name: str, call: Callable[[], T], seconds: float) -> TimedRun[T]:
        """Return the run of this name that goes on, whose time began when it did, or start one."""
        with self._lock:
            run = self._running.get(name)
            if run is None or not run.is_running:
                run = self._running[name] = TimedRun(call, seconds, self._app_context)
            return run
