"""Bounded scans: if no index covers a filter, a page tests only a bounded number of candidate rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CompoundSelect, Connection, Row, Select


@dataclass(frozen=True)
class ScanResult:
    """The candidates that passed, in order, and the position to resume after; ``None`` if no candidates are left."""

    passed: Sequence[Row[Any]]
    resume_after: list[Any] | None


def bounded_scan(connection: Connection, candidates: Select[Any] | CompoundSelect[Any], scan_limit: int) -> ScanResult:
    """Test up to ``scan_limit`` candidates, and return those that pass.

    ``candidates`` must select ``key``, by which it is sorted, and ``id``, which is NULL if the test fails. The test
    must not be in the WHERE clause: PostgreSQL would then read any number of rows until enough of them pass.
    """
    rows = connection.execute(candidates.limit(scan_limit)).all()
    resume_after = [rows[-1].key] if len(rows) == scan_limit else None
    return ScanResult([row for row in rows if row.id], resume_after)
