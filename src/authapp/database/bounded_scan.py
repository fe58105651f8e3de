"""Bounded scans: where no index answers a filter, a page tests a bounded number of candidates."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CompoundSelect, Connection, Row, Select


@dataclass(frozen=True)
class ScanResult:
    """The candidates that passed, in order, and the position to resume after: ``None`` if no candidate is left."""

    passed: Sequence[Row[Any]]
    resume_after: list[Any] | None


def bounded_scan(connection: Connection, candidates: Select[Any] | CompoundSelect[Any], scan_limit: int) -> ScanResult:
    """Test up to ``scan_limit`` candidates, and return those that pass.

    ``candidates`` selects ``key``, which orders it, and ``id``, which is NULL where the test fails. The test must not
    be in WHERE: there, PostgreSQL reads on until enough rows pass, however far that is.
    """
    rows = connection.execute(candidates.limit(scan_limit)).all()
    resume_after = [rows[-1].key] if len(rows) == scan_limit else None
    return ScanResult([row for row in rows if row.id], resume_after)
