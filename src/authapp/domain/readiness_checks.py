"""Readiness checks: what else must hold before requests are served, and a time limit for asking."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from authapp.database import reasons
from authapp.database.errors import sqlstate
from authapp.database.session import db
from authapp.domain.timed_runs import TimedRun, TimedRuns
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
    """Asks the registered checks, each for a limited time."""

    def __init__(self, app_context: Callable[[], AbstractContextManager[Any]]) -> None:
        """Take the function that opens an application context."""
        self._runs: TimedRuns[HealthProblem | None] = TimedRuns(app_context)

    def problems(self) -> dict[str, HealthProblem]:
        """Return each component with a problem, empty if there is none."""
        # All are asked at once: those that hang take as long as one, and whoever asks waits for few seconds.
        runs = {
            component: self._runs.join_or_start(component, partial(outcome, check), CHECK_SECONDS)
            for component, check in readiness_checks.items()
        }
        found = {component: _problem(run) for component, run in runs.items()}
        return {component: problem for component, problem in found.items() if problem}


def _problem(run: TimedRun[HealthProblem | None]) -> HealthProblem | None:
    try:
        return run.outcome()
    except TimeoutError as error:
        return HealthProblem("It cannot be checked.", f"Reason: {error}.")


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
