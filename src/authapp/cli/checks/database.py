"""Checks of the database and its migrations."""

from collections.abc import Mapping

from sqlalchemy import func, select

from authapp import clock
from authapp.cli.checks.result import CheckLevel, CheckResult
from authapp.database.session import read_one
from authapp.domain.health import HealthProblem

SKEW_SECONDS = 2

Problems = Mapping[str, HealthProblem]
"""By component."""


def answers(problems: Problems) -> CheckResult:
    """Check that the database answers, from the problems of the readiness check."""
    if problem := problems.get("database"):
        sentence = f"{problem.sentence} {problem.reason}".strip()
        return CheckResult(CheckLevel.FAIL, "database", sentence, "Check DATABASE_URL, and that PostgreSQL runs.")
    return CheckResult(CheckLevel.OK, "database", "It answers.")


def privileges(problems: Problems) -> CheckResult:
    """Check that the role may do what a server needs, from the problems of the readiness check."""
    if problem := problems.get("privileges"):
        advice = "Grant it, as the role that owns the tables: docs/operations.md has the statements."
        return CheckResult(CheckLevel.FAIL, "privileges", problem.sentence, advice)
    return CheckResult(CheckLevel.OK, "privileges", "The role may do all that a server needs.")


def migrations(problems: Problems) -> CheckResult:
    """Check that no migration is pending, from the problems of the readiness check."""
    if problem := problems.get("migrations"):
        return CheckResult(CheckLevel.FAIL, "migrations", problem.sentence, "Run `flask db upgrade`.")
    return CheckResult(CheckLevel.OK, "migrations", "None is pending.")


def clocks() -> CheckResult:
    """Check that the clock of this machine and the database's agree."""
    before = clock.now()
    row = read_one(select(func.clock_timestamp().label("now")))
    middle = before + (clock.now() - before) / 2
    skew = abs((row.now - middle).total_seconds()) if row else 0.0
    if skew > SKEW_SECONDS:
        sentence = f"This machine and the database differ by {skew:.1f} s."
        return CheckResult(CheckLevel.FAIL, "clock", sentence, "Let NTP set both clocks.")
    return CheckResult(CheckLevel.OK, "clock", f"This machine and the database differ by {skew:.3f} s.")
