"""Checks of the rows that the tables hold."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, text

from authapp.cli.checks.result import CheckLevel, CheckResult
from authapp.database.session import db, read_one
from authapp.domain.services import Services
from authapp.domain.users.name_keys import BATCH
from authapp.models import AuditEvent, User, UserRole, UserStatus
from authapp.models.role import ADMIN

COUNTED_ROWS = 100_000
"""Tables are counted up to here. Beyond it, the figure is PostgreSQL's estimate, if it has analysed the table."""

KEY_BATCHES = COUNTED_ROWS // BATCH
PRUNABLE_ROWS = 100_000
AUDIT_ROWS = 10_000_000
"""Some gigabytes. Lists stay fast, but disk, backups and restores get larger and slower."""


def admins(_services: Services) -> CheckResult:
    """Check that somebody can administer the accounts."""
    active = (
        select(func.count())
        .select_from(User)
        .join(UserRole, UserRole.user_id == User.id)
        .where(UserRole.role_name == ADMIN, User.status == UserStatus.ACTIVE)
    )
    if db.session.scalar(active) == 0:
        advice = "Grant the role to an account: flask users grant USERNAME admin"
        return CheckResult(CheckLevel.WARN, "admins", "No active account is an administrator.", advice)
    return CheckResult(CheckLevel.OK, "admins", "There is an administrator.")


def pruning(services: Services) -> list[CheckResult]:
    """Check that the rows that are no longer needed are deleted."""
    pruning = services.pruning
    return [_prunable(prunable.model, pruning.condition(prunable)) for prunable in pruning.prunables()]


def users(_services: Services) -> CheckResult:
    """Tell the size of the table of users."""
    return CheckResult(CheckLevel.OK, User.__tablename__, f"{_size(User).sentence}.")


def name_keys(services: Services) -> CheckResult:
    """Check that accounts are found by their names; nodes of the version before write keys that are not looked for."""
    outdated = sum(1 for _ in services.name_keys.outdated(batches=KEY_BATCHES))
    if outdated:
        sentence = f"{outdated} of the newest accounts cannot log in by one of their names."
        advice = "When the last node of the previous version has stopped, run `flask users repair-keys`."
        return CheckResult(CheckLevel.WARN, "names", sentence, advice)
    return CheckResult(CheckLevel.OK, "names", "The newest accounts are found by their names.")


def _prunable(model: type[Any], is_prunable: ColumnElement[bool]) -> CheckResult:
    count = _count_up_to(PRUNABLE_ROWS, select(text("1")).select_from(model).where(is_prunable))
    sentence = f"{_size(model).sentence}, {count}{'+' if count == PRUNABLE_ROWS else ''} of them prunable."
    if count >= PRUNABLE_ROWS:
        return CheckResult(CheckLevel.WARN, model.__tablename__, sentence, "Run `flask tokens prune` from a timer.")
    return CheckResult(CheckLevel.OK, model.__tablename__, sentence)


def audit_events(_services: Services) -> CheckResult:
    """Check that the audit trail has not become very large."""
    size = _size(AuditEvent)
    if size.rows > AUDIT_ROWS:
        # It is never pruned automatically, because only the operator knows how long it must be kept.
        advice = "Run `flask audit prune --older-than` with what you must keep, such as 365d, from a timer."
        return CheckResult(CheckLevel.WARN, AuditEvent.__tablename__, f"{size.sentence}.", advice)
    return CheckResult(CheckLevel.OK, AuditEvent.__tablename__, f"{size.sentence}.")


@dataclass(frozen=True)
class _Size:
    rows: int
    sentence: str


def _size(model: type[Any]) -> _Size:
    row = read_one(_table(model.__tablename__))
    if not row:
        return _Size(0, "it is not there")
    count = _count_up_to(COUNTED_ROWS + 1, select(text("1")).select_from(model))
    if count <= COUNTED_ROWS:
        return _Size(count, f"{count} {'row' if count == 1 else 'rows'}, {row.size}")
    estimate = int(row.estimate)
    words = f"about {estimate}" if estimate > COUNTED_ROWS else f"more than {COUNTED_ROWS}"
    return _Size(max(count, estimate), f"{words} rows, {row.size}")


def _count_up_to(most: int, rows: Select[Any]) -> int:
    # The count stops there, so that the check is not slow when there are very many.
    return db.session.scalar(select(func.count()).select_from(rows.limit(most).subquery())) or 0


def _table(name: str) -> Any:
    estimate = text("reltuples AS estimate")
    size = func.pg_size_pretty(func.pg_total_relation_size(text("oid"))).label("size")
    named = text("oid = to_regclass(:name)").bindparams(name=name)
    return select(estimate, size).select_from(text("pg_class")).where(named)
