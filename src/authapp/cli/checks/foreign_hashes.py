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


def readable(_: Services) -> CheckResult:
    """Check that each hash of other systems can be verified: a login by one that is refused never succeeds."""
    refused = sum(not _is_verifiable(each) for each in _stored())
    if refused:
        sentence = f"{refused} cannot be verified: no format that is registered, damaged, or above its maximum cost."
        advice = "Their owners cannot log in by password: send them a link with `flask users send-reset`."
        return CheckResult(CheckLevel.WARN, _SUBJECT, sentence, advice)
    return CheckResult(CheckLevel.OK, _SUBJECT, f"None of up to {_SAMPLES:,} that were looked at is refused.")


def floor(services: Services) -> CheckResult:
    """Check that refused logins take as long as the hashes of other systems need, from some that are left."""
    stored = _stored()
    if not stored:
        return CheckResult(CheckLevel.OK, _SUBJECT, "Every password hash is argon2id.")
    if db.session.get(ForeignHashMark, ONLY_ID) is None:
        sentence = "Some are left and not marked, so the time of a refused login tells whose they are."
        advice = "Run INSERT INTO foreign_hash_marks VALUES (1, now())."
        return CheckResult(CheckLevel.WARN, _SUBJECT, sentence, advice)
    needed = max(map(_milliseconds, _costliest(stored)), default=0)
    floor_ms = services.settings.login_floor_ms
    if floor_ms < needed:
        sentence = f"Some are left. One takes {needed} ms here, and refused logins take {floor_ms} ms."
        return CheckResult(CheckLevel.WARN, _SUBJECT, sentence, "Raise AUTHAPP_LOGIN_FLOOR_MS.")
    return CheckResult(CheckLevel.OK, _SUBJECT, f"Some are left, so refused logins take {floor_ms} ms.")


def _stored() -> list[str]:
    found = db.session.scalars(select(User.password_hash).where(text(FOREIGN_HASH)).limit(_SAMPLES))
    return [each.removeprefix(IMPORTED_PREFIX) for each in found if each is not None]


def _is_verifiable(stored: str) -> bool:
    try:
        verifier(stored)
    except ValueError:
        return False
    return True


def _costliest(stored: Iterable[str]) -> set[str]:
    """Return those of ``stored`` that have the largest of some number in their format: its iterations, its memory."""
    largest: dict[tuple[str, int, int], tuple[int, tuple[int, ...], str]] = {}
    for each in filter(_is_verifiable, stored):
        name, costs = cost_of(each)
        for position, cost in enumerate(costs):
            # A format may have optional numbers, so only hashes with as many are compared.
            number, candidate = (name, len(costs), position), (cost, costs, each)
            largest[number] = max(largest.get(number, candidate), candidate)
    return {each for _, _, each in largest.values()}


def _milliseconds(stored: str) -> int:
    # Of the processor: what other processes of a busy host take is not in the floor either.
    start = time.thread_time()
    with suppress(ValueError):  # it cannot be of such a password
        verifier(stored)("a password that opens nothing")
    return round((time.thread_time() - start) * 1000)
