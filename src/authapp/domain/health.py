"""Health: whether the database answers, lets this role at its tables, and has those that this version needs."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from authapp.database.migrations import MigrationFolder
from authapp.database.session import read_one
from authapp.domain.privileges import missing_privileges
from authapp.domain.readiness_checks import (
    HealthProblem,
    ReadinessCheck,
    TimedChecks,
    failure_reason,
    outcome,
    readiness_checks,
)
from authapp.errors import FieldError, ServiceUnavailable

logger = logging.getLogger(__name__)

_BEHIND = "The database is behind this version: run `flask db upgrade`."

PRIVILEGES_SECONDS = 60.0
"""For how long privileges that were complete are not looked at again."""


class Health:
    """Checks whether the service is ready for requests."""

    def __init__(
        self,
        migrations: Sequence[MigrationFolder],
        app_context: Callable[[], AbstractContextManager[Any]],
        checks: Mapping[str, ReadinessCheck] = MappingProxyType({}),
    ) -> None:
        """Take the folders of migrations that must have been applied to the database.

        ``app_context`` opens the application context in which the ``readiness_checks`` are asked. ``checks`` are asked
        before them; they only query the database, and know the settings of one application.
        Raises ``ValueError`` if one of them has a name that is registered.
        """
        if taken := checks.keys() & readiness_checks.keys():
            raise ValueError(f"authapp has these readiness checks itself: {', '.join(sorted(taken))}.")
        self._migrations, self._checks = migrations, checks
        self._registered = TimedChecks(app_context)
        self._privileged_until = 0.0

    def require_ready(self) -> None:
        """Raise ``ServiceUnavailable``, with a field error for each component that has a problem, unless ready.

        The problems are logged, with their reasons.
        """
        if problems := self.problems():
            for component, problem in problems.items():
                logger.warning("Not ready: %s: %s", component, f"{problem.for_guests} {problem.for_operator}".strip())
            field_errors = [FieldError(f"#/{component}", problem.for_guests) for component, problem in problems.items()]
            raise ServiceUnavailable(" ".join(error.detail for error in field_errors), field_errors=field_errors)

    def problems(self) -> dict[str, HealthProblem]:
        """Return each component with a problem, empty if ready.

        These are ``database``, ``privileges`` or ``migrations``, and if none of these has one, what ``checks`` and
        ``readiness_checks`` find.
        """
        try:
            row = read_one(select(func.current_setting("transaction_read_only").label("read_only")))
            if row is not None and row.read_only == "on":
                sentence = "The database is read-only: a standby, or in the middle of a failover."
                return {"database": HealthProblem(sentence)}
            return self._privileges() or self._behind() or self._others()
        except SQLAlchemyError as error:
            return {"database": HealthProblem("The database cannot be asked.", f"Reason: {failure_reason(error)}.")}

    def _privileges(self) -> dict[str, HealthProblem]:
        if time.monotonic() < self._privileged_until:
            return {}
        if missing := missing_privileges(folder.version_table for folder in self._migrations if folder.heads):
            reason = f"The role that serves lacks {', '.join(missing)}."
            return {"privileges": HealthProblem("The database does not grant what a server needs.", reason)}
        self._privileged_until = time.monotonic() + PRIVILEGES_SECONDS
        return {}

    def _behind(self) -> dict[str, HealthProblem]:
        behind = [problem for folder in self._migrations if (problem := folder.problem())]
        return {"migrations": HealthProblem(_BEHIND, behind[0])} if behind else {}

    def _others(self) -> dict[str, HealthProblem]:
        found = {component: problem for component, check in self._checks.items() if (problem := outcome(check))}
        return found | self._registered.problems()
