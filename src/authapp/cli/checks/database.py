"""Checks of the database and its migrations."""

from sqlalchemy import func, select

from authapp import clock
from authapp.cli.checks.result import CheckLevel, CheckResult
from authapp.database.session import read_one

SKEW_SECONDS = 2


def answers(problems: dict[str, str]) -> CheckResult:
    """Check that the database answers, from the problems of the readiness check."""
    if "database" in problems:
        return CheckResult(
            CheckLevel.FAIL, "database", problems["database"], "Check DATABASE_URL, and that PostgreSQL runs."
        )
    return CheckResult(CheckLevel.OK, "database", "It answers.")


def migrations(problems: dict[str, str]) -> CheckResult:
    """Check that no migration is pending, from the problems of the readiness check."""
    if "migrations" in problems:
        return CheckResult(CheckLevel.FAIL, "migrations", problems["migrations"], "Run `flask db upgrade`.")
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
