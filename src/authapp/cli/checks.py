"""The checks of ``flask doctor``: problems that an operator should know of, and how to fix them."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from authapp import clock
from authapp.config import OWASP_ARGON2
from authapp.database.session import db, read_one
from authapp.domain.services import Services
from authapp.models import AuditEvent, User, UserRole, UserStatus
from authapp.models.role import ADMIN
from authapp.security.keys import Key

KEY_AGE_DAYS = 365
SKEW_SECONDS = 2
HASH_SECONDS = (0.005, 0.5)
PRUNABLE_ROWS = 100_000
AUDIT_ROWS = 10_000_000
"""Some gigabytes. Lists stay fast, but disk, backups and restores get larger and slower."""


class Level(StrEnum):
    """How serious a result is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class CheckResult:
    """The result of checking one ``subject``. ``advice`` says what to do, and is empty if nothing is wrong."""

    level: Level
    subject: str
    sentence: str
    advice: str = ""


class Checkup:
    """Runs the checks on one application."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings

    def results(self) -> Iterator[CheckResult]:
        """Yield the results of all checks. Those that need the database are skipped when it does not answer."""
        yield self._environment()
        yield from self._keys()
        yield from self._proxies()
        yield self._hashing()
        problems = self._services.health.problems()
        yield _database(problems)
        if "database" in problems:
            return
        yield self._clock()
        yield _migrations(problems)
        if not problems:
            try:
                yield from self._tables()
            except SQLAlchemyError:
                yield CheckResult(
                    Level.FAIL, "tables", "They cannot be read.", "Grant this role SELECT on every table."
                )

    def _environment(self) -> CheckResult:
        if self._settings.env == "production":
            return CheckResult(Level.OK, "settings", "They can be used, for production.")
        return CheckResult(
            Level.WARN,
            "settings",
            "AUTHAPP_ENV is development: missing keys and a missing database get defaults.",
            "Set AUTHAPP_ENV=production where people depend on it.",
        )

    def _keys(self) -> Iterator[CheckResult]:
        keys = self._services.tokens.keys
        yield _age(keys.signing)
        for key in keys:
            yield _strength(key)

    def _proxies(self) -> Iterator[CheckResult]:
        hops, issuer = self._settings.trusted_proxies, self._settings.issuer
        if issuer.startswith("https://") and hops == 0:
            yield CheckResult(
                Level.WARN,
                "proxies",
                "The issuer is https and no proxy is trusted: behind one, all clients share its address and limits.",
                "Set AUTHAPP_TRUSTED_PROXIES to the number of proxies in front.",
            )
        elif issuer.startswith("http://") and self._settings.env == "production":
            advice = "Serve it by TLS and set AUTHAPP_ISSUER to https://..."
            yield CheckResult(Level.WARN, "proxies", "The issuer is plain http: tokens travel in the open.", advice)
        else:
            yield CheckResult(Level.OK, "proxies", f"{hops} trusted.")

    def _hashing(self) -> CheckResult:
        start = time.perf_counter()
        self._services.hasher.hash("a password to measure with")
        seconds = time.perf_counter() - start
        sentence = f"A password takes {seconds * 1000:.0f} ms and {self._settings.argon2_memory_kib} KiB."
        weak = any(getattr(self._settings, name) < floor for name, floor in OWASP_ARGON2.items())
        least, most = HASH_SECONDS
        if weak:
            advice = "Leave AUTHAPP_ARGON2_MEMORY_KIB and AUTHAPP_ARGON2_TIME_COST unset for OWASP's figure."
            return CheckResult(Level.FAIL, "hashing", f"{sentence} That is below OWASP's floor.", advice)
        if seconds < least:
            return CheckResult(
                Level.WARN, "hashing", sentence, "Raise AUTHAPP_ARGON2_MEMORY_KIB: this machine can do more."
            )
        if seconds > most:
            return CheckResult(Level.WARN, "hashing", sentence, "Lower AUTHAPP_ARGON2_*, or use a faster machine.")
        return CheckResult(Level.OK, "hashing", sentence)

    def _clock(self) -> CheckResult:
        before = clock.now()
        row = read_one(select(func.clock_timestamp().label("now")))
        middle = before + (clock.now() - before) / 2
        skew = abs((row.now - middle).total_seconds()) if row else 0.0
        if skew > SKEW_SECONDS:
            sentence = f"This machine and the database differ by {skew:.1f} s."
            return CheckResult(Level.FAIL, "clock", sentence, "Let NTP set both clocks.")
        return CheckResult(Level.OK, "clock", f"This machine and the database differ by {skew:.3f} s.")

    def _tables(self) -> Iterator[CheckResult]:
        admins = (
            select(func.count())
            .select_from(User)
            .join(UserRole, UserRole.user_id == User.id)
            .where(UserRole.role_name == ADMIN, User.status == UserStatus.ACTIVE)
        )
        if db.session.scalar(admins) == 0:
            advice = "Grant the role to an account: flask users grant USERNAME admin"
            yield CheckResult(Level.WARN, "admins", "No active account is an administrator.", advice)
        else:
            yield CheckResult(Level.OK, "admins", "There is an administrator.")
        for rows in self._services.pruning.prunable():
            yield _prunable(rows.model, rows.condition)
        yield CheckResult(Level.OK, User.__tablename__, f"{_size(User).sentence}.")
        yield _trail()


def _age(key: Key) -> CheckResult:
    made = key.jwk.get("iat")
    # Keys from other tools have no date, which is fine. A warning would never go away until a good key is replaced.
    if made is None:
        return CheckResult(Level.OK, "signing key", f"{key.kid} does not say how old it is.")
    days = int((clock.now().timestamp() - made) // 86_400)
    if days > KEY_AGE_DAYS:
        return CheckResult(Level.WARN, "signing key", f"{key.kid} is {days} days old.", "Replace it: flask keys rotate")
    return CheckResult(Level.OK, "signing key", f"{key.kid} is {days} days old.")


def _strength(key: Key) -> CheckResult:
    if key.alg == "HS256":
        sentence = f"{key.kid} is HS256: every service that can verify a token can also sign one."
        return CheckResult(
            Level.WARN, "key", sentence, "Use ES256 when other services verify: flask keys rotate --alg ES256"
        )
    return CheckResult(Level.OK, "key", f"{key.kid} is {key.alg}.")


def _database(problems: dict[str, str]) -> CheckResult:
    if "database" in problems:
        return CheckResult(
            Level.FAIL, "database", problems["database"], "Check DATABASE_URL, and that PostgreSQL runs."
        )
    return CheckResult(Level.OK, "database", "It answers.")


def _migrations(problems: dict[str, str]) -> CheckResult:
    if "migrations" in problems:
        return CheckResult(Level.FAIL, "migrations", problems["migrations"], "Run `flask db upgrade`.")
    return CheckResult(Level.OK, "migrations", "None is pending.")


def _prunable(model: type[Any], useless: Any) -> CheckResult:
    # The count stops at PRUNABLE_ROWS, so that the check is not slow when there are very many.
    some = select(text("1")).select_from(model).where(useless).limit(PRUNABLE_ROWS).subquery()
    count = db.session.scalar(select(func.count()).select_from(some)) or 0
    sentence = f"{_size(model).sentence}, {count}{'+' if count == PRUNABLE_ROWS else ''} of them prunable."
    if count >= PRUNABLE_ROWS:
        return CheckResult(Level.WARN, model.__tablename__, sentence, "Run `flask tokens prune` from a timer.")
    return CheckResult(Level.OK, model.__tablename__, sentence)


def _trail() -> CheckResult:
    size = _size(AuditEvent)
    if size.rows > AUDIT_ROWS:
        # It is never pruned automatically, because only the operator knows how long it must be kept.
        advice = "Run `flask audit prune --older-than` with what you must keep, such as 365d, from a timer."
        return CheckResult(Level.WARN, AuditEvent.__tablename__, f"{size.sentence}.", advice)
    return CheckResult(Level.OK, AuditEvent.__tablename__, f"{size.sentence}.")


@dataclass(frozen=True)
class _Size:
    rows: int
    sentence: str


def _size(model: type[Any]) -> _Size:
    row = read_one(_table(model.__tablename__))
    if not row:
        return _Size(0, "it is not there")
    return _Size(int(row.rows), f"about {int(row.rows)} rows, {row.size}")


def _table(name: str) -> Any:
    rows = func.greatest(text("reltuples"), 0).label("rows")
    size = func.pg_size_pretty(func.pg_total_relation_size(text("oid"))).label("size")
    named = text("oid = to_regclass(:name)").bindparams(name=name)
    return select(rows, size).select_from(text("pg_class")).where(named)
