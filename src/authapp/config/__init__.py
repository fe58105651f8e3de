"""Settings: the environment is read once into a frozen ``Settings``. All problems are reported in one message."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from authapp.config.environment import Default, EnvironmentReader, KeyChecker, normalised_database_url
from authapp.config.rate_limits import RateLimit, rate_limits

__all__ = ["RateLimit", "Settings", "SettingsError", "normalised_database_url", "rate_limits"]

OWASP_ARGON2 = {"argon2_memory_kib": 19_456, "argon2_time_cost": 2}
"""The minimum for argon2id in the OWASP Password Storage Cheat Sheet."""


class SettingsError(Exception):
    """The settings cannot be used; ``problems`` lists every reason, one line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        lines = "".join(f"\n  - {problem}" for problem in self.problems)
        super().__init__(
            f"authapp cannot start: {len(self.problems)} problem(s) in its settings:{lines}\n"
            "docs/configuration.md describes every setting. In development, `make run` sets all of them."
        )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings. Each is read from ``AUTHAPP_`` followed by the name of the field in capitals."""

    database_url: str = field(repr=False)
    """Where PostgreSQL is. ``DATABASE_URL`` is read as well. Secret: it may hold a password."""

    jwt_keys: str = field(repr=False)
    """The private JWK Set (RFC 7517) as JSON; its first key signs, all of them verify. Secret."""

    env: Literal["production", "development"] = "production"
    """``production`` refuses to start with a missing or weak setting; ``development`` uses defaults instead."""

    issuer: str = "http://127.0.0.1:8000"
    """The ``iss`` claim: the address under which clients know this service."""

    audience: str = "authapp"
    """The ``aud`` claim: who the tokens are for."""

    access_token_ttl: int = 900
    """How long an access token lives, in seconds."""

    refresh_token_ttl: int = 2_592_000
    """How long a refresh token lives, in seconds."""

    session_ttl: int = 7_776_000
    """The maximum length of a session in seconds, however often it is refreshed."""

    refresh_grace: int = 10
    """For how many seconds a refresh token that was just exchanged may be sent again; it gets the same successor."""

    leeway: int = 5
    """How much clock skew is tolerated, in seconds."""

    registration: Literal["open", "closed"] = "open"
    """``closed``: only administrators and the CLI create accounts."""

    trusted_proxies: int = 0
    """How many reverse proxies are in front, and so how many ``X-Forwarded-*`` entries are trusted."""

    argon2_memory_kib: int = OWASP_ARGON2["argon2_memory_kib"]
    """The memory of one password hash, in KiB."""

    argon2_time_cost: int = OWASP_ARGON2["argon2_time_cost"]
    """The passes of one password hash."""

    hashing_concurrency: int = 1
    """How many passwords a worker hashes at once. By default its share of the cores, at most 4."""

    hashing_queue: int = 3
    """How many more hashes may wait in a worker; further requests are answered with 503."""

    login_failures_per_account: int = 10
    """After how many failures in a row an account must wait: first 1 s, then twice as long each time, up to 15 min."""

    login_failures_max: int = 100
    """After how many failures in a row an account is locked (NIST SP 800-63B-4: at most 100)."""

    rate_limits: Mapping[str, RateLimit | None] = field(default_factory=dict)
    """Limits by client address that replace the registered defaults; ``None`` means no limit."""

    rate_limit_storage: str = field(default="", repr=False)
    """Where Flask-Limiter counts the general limit per route: ``memory://``, ``redis://...``; empty turns it off."""

    rate_limit_default: RateLimit | None = RateLimit(1200, 60)
    """How many requests one address may send to each route, if ``rate_limit_storage`` is set."""

    database_pool_size: int = 8
    """The size of each of a worker's two pools of connections to PostgreSQL."""

    database_timeout: float = 2.5
    """After how many seconds without an answer the database counts as down."""

    end_orphaned_backends: Literal["on", "off"] = "on"
    """Whether to end this role's PostgreSQL backends that are still committing a write after the client gave up."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """What is logged."""

    def rate_limit(self, name: str) -> RateLimit | None:
        """Return the limit ``name``; ``None`` means no limit. Raises ``KeyError`` if no such limit is registered."""
        return self.rate_limits[name] if name in self.rate_limits else rate_limits[name]

    @classmethod
    def from_env(cls, *, check_keys: KeyChecker, development_keys: Callable[[Path], str], instance: Path) -> Self:
        """Return the settings from the environment.

        ``check_keys`` returns the problems of a JWK Set. In development, ``development_keys`` creates one in
        ``instance``, the folder where ``make run`` keeps its data. A secret may also be read from a file whose path is
        in the variable with ``_FILE`` appended to its name.

        Raises ``SettingsError``, which lists every problem.
        """
        reader = EnvironmentReader(check_keys)
        env = reader.choice("ENV", cls.env, ["production", "development"])
        defaults = _development_defaults(instance, development_keys) if env == "development" else _NO_DEFAULTS
        values: dict[str, Any] = {
            "env": env,
            "database_url": reader.database_url(defaults["database_url"]),
            "jwt_keys": reader.keys(defaults["jwt_keys"]),
            "issuer": reader.issuer(defaults["issuer"]),
            "audience": reader.required("AUDIENCE", defaults["audience"]),
            "registration": reader.choice("REGISTRATION", cls.registration, ["open", "closed"]),
            "log_level": reader.choice("LOG_LEVEL", cls.log_level, ["DEBUG", "INFO", "WARNING", "ERROR"]),
            "access_token_ttl": reader.whole("ACCESS_TOKEN_TTL", cls.access_token_ttl, 10, 86_400),
            "refresh_token_ttl": reader.whole("REFRESH_TOKEN_TTL", cls.refresh_token_ttl, 60, 31_536_000),
            "session_ttl": reader.whole("SESSION_TTL", cls.session_ttl, 60, 31_536_000),
            "refresh_grace": reader.whole("REFRESH_GRACE", cls.refresh_grace, 0, 60),
            "leeway": reader.whole("LEEWAY", cls.leeway, 0, 60),
            "trusted_proxies": reader.whole("TRUSTED_PROXIES", cls.trusted_proxies, 0, 10),
            "hashing_concurrency": reader.whole("HASHING_CONCURRENCY", _share_of_cores(), 1, 64),
            "hashing_queue": reader.whole("HASHING_QUEUE", cls.hashing_queue, 0, 1000),
            "login_failures_per_account": reader.whole(
                "LOGIN_FAILURES_PER_ACCOUNT", cls.login_failures_per_account, 1, 100
            ),
            "login_failures_max": reader.whole("LOGIN_FAILURES_MAX", cls.login_failures_max, 1, 100),
            "rate_limit_storage": reader.storage("RATE_LIMIT_STORAGE"),
            "rate_limit_default": reader.rate("RATE_LIMIT_DEFAULT", cls.rate_limit_default),
            "rate_limits": {
                name: reader.rate(f"RATE_LIMIT_{name.upper()}", default) for name, default in rate_limits.items()
            },
            "end_orphaned_backends": reader.choice("END_ORPHANED_BACKENDS", cls.end_orphaned_backends, ["on", "off"]),
            "database_pool_size": reader.whole("DATABASE_POOL_SIZE", cls.database_pool_size, 1, 100),
            "database_timeout": reader.number("DATABASE_TIMEOUT", cls.database_timeout, 0.1, 60),
            **{
                name: reader.whole(name.upper(), floor, floor if env == "production" else 1, 2_097_152)
                for name, floor in OWASP_ARGON2.items()
            },
        }
        reader.order(values, "access_token_ttl", "refresh_token_ttl", "session_ttl")
        reader.order(values, "login_failures_per_account", "login_failures_max")
        if reader.problems:
            raise SettingsError(reader.problems)
        return cls(**values)


def _share_of_cores() -> int:
    workers = os.environ.get("WEB_CONCURRENCY", "")
    return max(1, min(4, (os.cpu_count() or 1) // max(1, int(workers) if workers.isdecimal() else 2)))


_NO_DEFAULTS: dict[str, Default] = dict.fromkeys(["database_url", "jwt_keys", "issuer", "audience"], lambda: None)


def _development_defaults(instance: Path, development_keys: Callable[[Path], str]) -> dict[str, Default]:
    url_file = instance / "database-url"
    return {
        "database_url": lambda: url_file.read_text().strip() if url_file.is_file() else None,
        "jwt_keys": lambda: development_keys(instance / "jwt-keys.json"),
        "issuer": lambda: Settings.issuer,
        "audience": lambda: Settings.audience,
    }
