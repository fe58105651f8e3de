"""Files of breached passwords."""

from collections.abc import Callable
from pathlib import Path

from flask import Flask
from sqlalchemy import select

from authapp.database.session import db
from authapp.models import AuditEvent
from range_server import digest

NEVER_LOST = "a sentence that nobody lost"


def listed(folder: Path, *passwords: str, end: str = "\n", form: Callable[[str], str] = str, last: bool = True) -> Path:
    """Return a sorted file with these passwords among a thousand others."""
    others = [f"another password {number}" for number in range(1000)]
    lines = sorted(digest(each) for each in [*others, *passwords])
    path = folder / "breached.txt"
    path.write_bytes((end.join(map(form, lines)) + (end if last else "")).encode())
    return path


def skipped(app: Flask) -> list[str]:
    with app.app_context():
        rows = db.session.scalars(select(AuditEvent).where(AuditEvent.type == "password_check.skipped"))
        return [row.details["reason"] for row in rows]
