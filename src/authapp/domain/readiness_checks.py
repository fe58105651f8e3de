"""Readiness checks: what else must hold before requests are served, and a time limit for asking."""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from authapp.database import deadline, reasons
from authapp.database.errors import sqlstate
from authapp.database.session import db
from authapp.registry import Registry

CHECK_SECONDS = 1.0
"""How long one check may take, and all of them, which run at once.

What asks for ``/health/ready`` has a time limit of its own, often of few seconds.
"""


@dataclass(frozen=True)
class HealthProblem:
    """A problem of one component: a sentence ``for_guests``, and its reason ``for_operator`` alone, if any.

    The sentence for guests names no table, role, revision or host.
    """

    for_guests: str
    for_operator: str = ""


ReadinessCheck = Callable[[], HealthProblem | None]

readiness_checks: Registry[ReadinessCheck] = Registry(
    "readiness check",
    r"[a-z][a-z_]{0,39}",
    "use 1 to 40 of a-z and _.",
    reserved=frozenset({"database", "privileges", "migrations", "encryption_keys"}),
)
"""What else must hold before requests are served, by the component. Each returns a problem, or ``None``.

They are asked when the database is as it should be, so they may query it. Each runs in a thread and an application
context of its own, for at most ``CHECK_SECONDS``.
"""


class TimedChecks:
    """Asks the registered checks, each for a limited time.

    A thread cannot be ended from outside. One whose check hangs goes on, and until its end no other thread asks the
    same check: so hanging checks hold one thread each, however often readiness is asked for.
    """

    def __init__(self, app_context: Callable[[], AbstractContextManager[Any]]) -> None:
        """Take the function that opens an application context."""
        self._app_context = app_context
        self._running: dict[str, _Run] = {}
        self._lock = threading.Lock()

    def problems(self) -> dict[str, HealthProblem]:
        """Return each component with a problem, empty if there is none."""
        # All are asked at once: those that hang take as long as one, and whoever asks waits for few seconds.
        runs = {component: self._run(component, check) for component, check in readiness_checks.items()}
        found = {component: self._outcome(run) for component, run in runs.items()}
        return {component: problem for component, problem in found.items() if problem}

    def _run(self, component: str, check: ReadinessCheck) -> "_Run":
        """Return the run of a check: the one that goes on, or a new one."""
        with self._lock:
            run = self._running.get(component)
            if run is None or not run.thread.is_alive():
                run = self._running[component] = _Run(check, self._app_context)
            return run

    def _outcome(self, run: "_Run") -> HealthProblem | None:
        run.thread.join(max(0.0, run.until - time.monotonic()))
        if run.thread.is_alive():
            return HealthProblem("It cannot be checked.", f"Reason: no answer in {CHECK_SECONDS:g} s.")
        return run.outcome


class _Run:
    """A check that is being asked, the ``thread`` that does, and its ``outcome`` afterwards."""

    def __init__(self, check: ReadinessCheck, app_context: Callable[[], AbstractContextManager[Any]]) -> None:
        self._check, self._app_context = check, app_context
        self.until = time.monotonic() + CHECK_SECONDS
        self.outcome: HealthProblem | None = None
        # The process does not wait for it at its end.
        self.thread = threading.Thread(target=self._ask, daemon=True)
        self.thread.start()

    def _ask(self) -> None:
        # What waits for the database gives up when nobody waits for the check any more.
        with deadline.within(CHECK_SECONDS), self._app_context():
            self.outcome = outcome(self._check)


def outcome(check: ReadinessCheck) -> HealthProblem | None:
    """Return what ``check`` finds; whatever it raises is a problem as well."""
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - whatever it is, what was to be checked is not known to hold
        # After a statement that failed, PostgreSQL would refuse those of the next check in the same transaction.
        db.session.rollback()
        return HealthProblem("It cannot be checked.", f"Reason: {failure_reason(error)}.")


def failure_reason(error: Exception) -> str:
    """Return why something failed, for the operator, without the message of the error: it may quote a secret."""
    if not isinstance(error, SQLAlchemyError):
        return f"a bug: {type(error).__name__}"
    code = sqlstate(error)
    return reasons.reason(error) or f"a bug: {type(error).__name__}{f' (SQLSTATE {code})' if code else ''}"
