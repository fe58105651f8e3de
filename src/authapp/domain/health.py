"""Health: whether the database answers, lets this role at its tables, and has those that this version needs."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from authapp.database import reasons
from authapp.database.errors import sqlstate
from authapp.database.migrations import MigrationFolder
from authapp.database.session import db, read_one
from authapp.domain.privileges import missing_privileges
from authapp.errors import FieldError, ServiceUnavailable
from authapp.registry import Registry

logger = logging.getLogger(__name__)

_BEHIND = "The database is behind this version: run `flask db upgrade`."

PRIVILEGES_SECONDS = 60.0
"""For how long privileges that were complete are not looked at again."""


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
    r"(?!database$|privileges$|migrations$|encryption_keys$)[a-z][a-z_]{0,39}",
    "use 1 to 40 of a-z and _.",
)
"""What else must hold before requests are served, by the component. Each returns a problem, or ``None``.

They are asked when the database is as it should be, so they may query it.
"""


class Health:
    """Checks whether the service is ready for requests."""

    def __init__(
        self, migrations: Sequence[MigrationFolder], checks: Mapping[str, ReadinessCheck] = MappingProxyType({})
    ) -> None:
        """Take the folders of migrations that must have been applied to the database.

        ``checks`` are asked like ``readiness_checks``, and before them; they know the settings of one application.
        Raises ``ValueError`` if one of them has a name that is registered.
        """
        if taken := checks.keys() & readiness_checks.keys():
            raise ValueError(f"authapp has these readiness checks itself: {', '.join(sorted(taken))}.")
        self._migrations, self._checks = migrations, checks
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
            return {"database": HealthProblem("The database cannot be asked.", f"Reason: {_reason(error)}.")}

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
        checks = {**self._checks, **dict(readiness_checks.items())}
        found = {component: _outcome(check) for component, check in checks.items()}
        return {component: problem for component, problem in found.items() if problem}


def _outcome(check: ReadinessCheck) -> HealthProblem | None:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - whatever it is, what was to be checked is not known to hold
        # After a statement that failed, PostgreSQL would refuse those of the next check in the same transaction.
        db.session.rollback()
        return HealthProblem("It cannot be checked.", f"Reason: {_reason(error)}.")


def _reason(error: Exception) -> str:
    """Return why something failed, for the operator, without the message of the error: it may quote a secret."""
    if not isinstance(error, SQLAlchemyError):
        return f"a bug: {type(error).__name__}"
    code = sqlstate(error)
    return reasons.reason(error) or f"a bug: {type(error).__name__}{f' (SQLSTATE {code})' if code else ''}"
