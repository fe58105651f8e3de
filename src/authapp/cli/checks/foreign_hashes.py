"""A check of password hashes that other systems made."""

import time
from collections.abc import Iterable
from contextlib import suppress

from sqlalchemy import select, text

from authapp.cli.checks.result import CheckLevel, CheckResult
from authapp.database.session import db
from authapp.domain.services import Services
from authapp.models import ForeignHashMark, User
from authapp.models.foreign_hash_mark import ONLY_ID
from authapp.models.user import FOREIGN_HASH
from authapp.security.foreign_hashes import IMPORTED_PREFIX, cost_of, verifier

_SUBJECT = "foreign hashes"
_SAMPLES = 10_000
_MEASURED = 3
"""How many hashes of each format are measured: those with the largest costs."""


def floor(services: Services) -> CheckResult:
    """Check that refused logins take as long as the hashes of other systems need, from some that are left."""
    stored = db.session.scalars(select(User.password_hash).where(text(FOREIGN_HASH)).limit(_SAMPLES)).all()
    if not stored:
        return CheckResult(CheckLevel.OK, _SUBJECT, "Every password hash is argon2id.")
    if db.session.get(ForeignHashMark, ONLY_ID) is None:
        sentence = "Some are left and not marked, so the time of a refused login tells whose they are."
        advice = "Run INSERT INTO foreign_hash_marks VALUES (1, now())."
        return CheckResult(CheckLevel.WARN, _SUBJECT, sentence, advice)
    needed = max(map(_milliseconds, _dearest(stored)), default=0)
    floor_ms = services.settings.login_floor_ms
    if floor_ms < needed:
        sentence = f"Some are left. One takes {needed} ms here, and refused logins take {floor_ms} ms."
        return CheckResult(CheckLevel.WARN, _SUBJECT, sentence, "Raise AUTHAPP_LOGIN_FLOOR_MS.")
    return CheckResult(CheckLevel.OK, _SUBJECT, f"Some are left, so refused logins take {floor_ms} ms.")


def _dearest(stored: Iterable[str | None]) -> list[str]:
    """Return hashes of each format, with the largest costs that it has among those that are ``stored``."""
    by_cost: dict[str, dict[tuple[int, ...], str]] = {}
    for each in stored:
        with suppress(ValueError):
            found = (each or "").removeprefix(IMPORTED_PREFIX)
            name, cost = cost_of(found)
            by_cost.setdefault(name, {})[cost] = found
    return [found[cost] for found in by_cost.values() for cost in sorted(found, reverse=True)[:_MEASURED]]


def _milliseconds(stored: str) -> int:
    start = time.perf_counter()
    with suppress(ValueError):
        verifier(stored)("a password that opens nothing")
    return round((time.perf_counter() - start) * 1000)
