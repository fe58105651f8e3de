"""Checks of the database and its migrations."""

from collections.abc import Mapping

from sqlalchemy import func, select

from authapp import clock
from authapp.cli.checks.result import CheckLevel, CheckResult
from authapp.database.session import read_one
from authapp.database.session_settings import limits as session_limits
from authapp.domain.readiness_checks import HealthProblem
from authapp.domain.services import Services

SKEW_SECONDS = 2

OLDEST_MAJOR = 15
"""The oldest major version of PostgreSQL on which the tests run."""

Problems = Mapping[str, HealthProblem]
"""By component."""


def answers(problems: Problems) -> CheckResult:
    """Check that the database answers, from the problems of the readiness check."""
    if problem := problems.get("database"):
        sentence = f"{problem.for_guests} {problem.for_operator}".strip()
        return CheckResult(CheckLevel.FAIL, "database", sentence, "Check DATABASE_URL, and that PostgreSQL runs.")
    return CheckResult(CheckLevel.OK, "database", "It answers.")


def privileges(problems: Problems) -> CheckResult:
    """Check that the role may do what a server needs, from the problems of the readiness check."""
    if problem := problems.get("privileges"):
        advice = "Grant it, as the role that owns the tables: docs/operations.md has the statements."
        return CheckResult(CheckLevel.FAIL, "privileges", problem.for_operator, advice)
    return CheckResult(CheckLevel.OK, "privileges", "The role may do all that a server needs.")


def migrations(problems: Problems) -> CheckResult:
    """Check that no migration is pending, from the problems of the readiness check."""
    if problem := problems.get("migrations"):
        return CheckResult(CheckLevel.FAIL, "migrations", problem.for_operator, "Run `flask db upgrade`.")
    return CheckResult(CheckLevel.OK, "migrations", "None is pending.")


def clocks(_services: Services) -> CheckResult:
    """Check that the clock of this machine and the database's agree."""
    before = clock.now()
    row = read_one(select(func.clock_timestamp().label("now")))
    middle = before + (clock.now() - before) / 2
    skew = abs((row.now - middle).total_seconds()) if row else 0.0
    if skew > SKEW_SECONDS:
        sentence = f"This machine and the database differ by {skew:.1f} s."
        return CheckResult(CheckLevel.FAIL, "clock", sentence, "Let NTP set both clocks.")
    return CheckResult(CheckLevel.OK, "clock", f"This machine and the database differ by {skew:.3f} s.")


def version(_services: Services) -> CheckResult:
    """Check that the server's version is one on which the tests run."""
    names = ("server_version", "server_version_num")
    row = read_one(select(*(func.current_setting(name).label(name) for name in names)))
    name, number = (row.server_version, int(row.server_version_num)) if row else ("", 0)
    if number // 10_000 < OLDEST_MAJOR:
        advice = f"Upgrade it: PostgreSQL {OLDEST_MAJOR} is the oldest version that the tests know."
        return CheckResult(CheckLevel.WARN, "PostgreSQL", f"The server is PostgreSQL {name}.", advice)
    return CheckResult(CheckLevel.OK, "PostgreSQL", f"The server is PostgreSQL {name}.")


def session_settings(_services: Services) -> CheckResult:
    """Check what a pooler may have kept from the server, and what makes a commit certain."""
    names = [*session_limits(1), "synchronous_commit"]
    row = read_one(select(*(func.current_setting(name).label(name) for name in names)))
    off = [name for name in names if row and row._mapping[name] in {"0", "off"}]
    if off:
        sentence = f"{', '.join(off)} {'is' if len(off) == 1 else 'are'} off."
        advice = "Set it for the role (ALTER ROLE ... SET): docs/operations.md says what for, under PgBouncer."
        return CheckResult(CheckLevel.WARN, "session settings", sentence, advice)
    if row and row.synchronous_commit == "local":
        sentence = "synchronous_commit is local: a commit waits for no standby, and a failover can lose a logout."
        return CheckResult(CheckLevel.WARN, "session settings", sentence, "Set it to on if you have a standby.")
    return CheckResult(CheckLevel.OK, "session settings", "Time limits are on, and a commit is on disk.")
