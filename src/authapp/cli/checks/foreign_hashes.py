"""A check of password hashes that other systems made."""

import time
from contextlib import suppress

from sqlalchemy import select, text

from authapp.cli.checks.result import CheckLevel, CheckResult
from authapp.database.session import db
from authapp.domain.services import Services
from authapp.models import ForeignHashMark, User
from authapp.models.foreign_hash_mark import ONLY_ID
from authapp.models.user import FOREIGN_HASH
from authapp.security.foreign_hashes import IMPORTED_PREFIX, verifier

_SUBJECT = "foreign hashes"
_SAMPLES, _MEASURED = 100, 8
_FORMAT = slice(len(IMPORTED_PREFIX) + 8)
"""The start of a stored hash that tells formats, and costs of bcrypt, apart."""


def floor(services: Services) -> CheckResult:
    """Check that refused logins take as long as the hashes of other systems need, from some that are left."""
    stored = db.session.scalars(select(User.password_hash).where(text(FOREIGN_HASH)).limit(_SAMPLES)).all()
    if not stored:
        return CheckResult(CheckLevel.OK, _SUBJECT, "Every password hash is argon2id.")
    if db.session.get(ForeignHashMark, ONLY_ID) is None:
        sentence = "Some are left and not marked, so the time of a refused login tells whose they are."
        advice = "Run INSERT INTO foreign_hash_marks VALUES (1, now())."
        return CheckResult(CheckLevel.WARN, _SUBJECT, sentence, advice)
    by_format = {found[_FORMAT]: found for found in stored if found}
    needed = max(_milliseconds(found) for found in list(by_format.values())[:_MEASURED])
    floor_ms = services.settings.login_floor_ms
    if floor_ms < needed:
        sentence = f"Some are left. One takes {needed} ms here, and refused logins take {floor_ms} ms."
        return CheckResult(CheckLevel.WARN, _SUBJECT, sentence, "Raise AUTHAPP_LOGIN_FLOOR_MS.")
    return CheckResult(CheckLevel.OK, _SUBJECT, f"Some are left, so refused logins take {floor_ms} ms.")


def _milliseconds(stored: str) -> int:
    start = time.perf_counter()
    with suppress(ValueError):
        verifier(stored.removeprefix(IMPORTED_PREFIX))("a password that opens nothing")
    return round((time.perf_counter() - start) * 1000)
