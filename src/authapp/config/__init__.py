"""Settings: the environment is read once into a frozen ``Settings``. All problems are reported in one message."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from email.headerregistry import Address
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

from authapp.config.browsers import cors_origins, origin_of, problems_of_browsers
from authapp.config.environment import Default, EnvironmentReader, KeyChecker, normalised_database_url
from authapp.config.mail import MailServer, link_url, mail_from, mail_server
from authapp.config.parsers import bind_address, breach_source, folder, names
from authapp.config.passkeys import RelyingParty, origins, problems_of_passkeys, relying_party, rp_id
from authapp.config.providers import ProviderSettings, providers, redirect_uris
from authapp.config.rate_limits import RateLimit, rate_limits

__all__ = [
    "MailServer",
    "ProviderSettings",
    "RateLimit",
    "RelyingParty",
    "Settings",
    "SettingsError",
    "normalised_database_url",
    "origin_of",
    "rate_limits",
]

OWASP_ARGON2 = {"argon2_memory_kib": 19_456, "argon2_time_cost": 2}
"""The minimum for argon2id in the OWASP Password Storage Cheat Sheet."""

NAMES_PER_ACCOUNT = 2
"""The username and the email address. Each is locked after its share of ``login_failures_max``."""


class SettingsError(Exception):
    """The settings cannot be used; ``problems`` lists every reason, one line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        lines = "".join(f"\n  - {problem}" for problem in self.problems)
        super().__init__(
            f"authapp cannot start: {len(self.problems)} problem(s) in its settings:{lines}\n"
            "docs/configuration.md describes every setting. In development, `make run` sets all of them."
        )


def _read(reader: Callable[..., Any], default: Any, *arguments: Any, secret: bool = False) -> Any:
    """Return a field that is read by a method of ``EnvironmentReader``, called with its name and these arguments."""
    return field(default=default, repr=not secret, metadata={"read": (reader, default, *arguments)})


def _choice(default: str, *others: str) -> Any:
    return _read(EnvironmentReader.choice, default, [default, *others])


def _integer(default: int, least: int, most: int) -> Any:
    return _read(EnvironmentReader.integer, default, least, most)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings. Each is read from ``AUTHAPP_`` followed by the name of the field in capitals."""

    database_url: str = field(repr=False, metadata={"read": (EnvironmentReader.database_url,)})
    """Where PostgreSQL is. ``DATABASE_URL`` is read as well. Secret: it may hold a password."""

    jwt_keys: str = field(repr=False, metadata={"read": (EnvironmentReader.keys,)})
    """The private JWK Set (RFC 7517) as JSON; its first key signs, all of them verify. Secret."""

    encryption_keys: str | None = _read(EnvironmentReader.text, None, str, secret=True)
    """The JWK Set of the keys that encrypt TOTP secrets; the first encrypts. Without it there is no TOTP. Secret."""

    env: Literal["production", "development"] = _choice("production", "development")
    """``production`` refuses to start with a missing or weak setting; ``development`` uses defaults instead."""

    issuer: str = _read(EnvironmentReader.issuer, "http://127.0.0.1:8000")
    """The ``iss`` claim: the address under which clients know this service."""

    audience: str = _read(EnvironmentReader.required, "authapp")
    """The ``aud`` claim: who the tokens are for."""

    access_token_ttl: int = _integer(900, 10, 86_400)
    """How long an access token lives, in seconds."""

    refresh_token_ttl: int = _integer(2_592_000, 60, 31_536_000)
    """How long a refresh token lives, in seconds."""

    session_ttl: int = _integer(7_776_000, 60, 31_536_000)
    """The maximum length of a session in seconds, however often it is refreshed."""

    refresh_grace: int = _integer(10, 0, 60)
    """For how many seconds an exchanged refresh token gets the same successor, if that one has not been exchanged."""

    refresh_retry: int = _integer(86_400, 0, 31_536_000)
    """The same for a longer time, for a client that lost the answer. The longer of the two counts."""

    sessions_per_account: int = _integer(100, 1, 10_000)
    """How many sessions an account may have; one more ends the one that was used least recently."""

    leeway: int = _integer(5, 0, 60)
    """How much clock skew is tolerated, in seconds."""

    registration: Literal["open", "closed"] = _choice("open", "closed")
    """``closed``: only administrators and the CLI create accounts."""

    trusted_proxies: int = _integer(0, 0, 10)
    """How many reverse proxies are in front, and so how many ``X-Forwarded-*`` entries are trusted."""

    argon2_memory_kib: int = _read(EnvironmentReader.argon2_cost, OWASP_ARGON2["argon2_memory_kib"])
    """The memory of one password hash, in KiB."""

    argon2_time_cost: int = _read(EnvironmentReader.argon2_cost, OWASP_ARGON2["argon2_time_cost"])
    """The passes of one password hash."""

    hashing_concurrency: int = _read(EnvironmentReader.share_of_cores, 1)
    """How many passwords a worker hashes at once. By default its share of the cores, at most 4."""

    hashing_queue_seconds: float = _read(EnvironmentReader.number, 2, 0, 60)
    """How long a hash may wait for its turn in a worker; a request that would wait longer gets 503 at once."""

    login_failures_per_account: int = _integer(10, 1, 50)
    """After how many failures in a row a name must wait: first 1 s, then twice as long each time, up to 15 min. At most
    half of ``login_failures_max``, after which the name is locked."""

    login_failures_max: int = _integer(100, 1, 100)
    """After how many failures in a row an account is locked, half of them under each of its two names (NIST SP
    800-63B-4: at most 100)."""

    login_floor_ms: int = _integer(1_000, 0, 10_000)
    """After how many milliseconds a refused login is answered at the earliest, while any account has a foreign hash."""

    rate_limits: Mapping[str, RateLimit | None] = field(
        default_factory=dict, metadata={"read": (EnvironmentReader.rates, rate_limits)}
    )
    """Limits by client address that replace the registered defaults; ``None`` means no limit."""

    rate_limit_storage: str = _read(EnvironmentReader.storage, "", secret=True)
    """Where Flask-Limiter counts the general limit per route: ``memory://``, ``redis://...``; empty turns it off."""

    rate_limit_default: RateLimit | None = _read(EnvironmentReader.rate, RateLimit(1200, 60))
    """How many requests one address may send to each route, if ``rate_limit_storage`` is set."""

    database_pool_size: int = _integer(8, 1, 100)
    """The size of each of a worker's two pools of connections to PostgreSQL."""

    database_timeout: float = _read(EnvironmentReader.number, 2.5, 0.1, 60)
    """After how many seconds without an answer the database counts as down."""

    end_orphaned_backends: Literal["on", "off"] = _choice("on", "off")
    """Whether to end this role's PostgreSQL backends that are still committing a write after the client gave up."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = _read(
        EnvironmentReader.choice, "INFO", ["DEBUG", "INFO", "WARNING", "ERROR"]
    )
    """The least level that is logged."""

    log_health_probes: Literal["on", "off"] = _choice("on", "off")
    """Whether requests of health probes that found nothing wrong are logged. Only checked here: the log reads it."""

    metrics: Literal["off", "on"] = _choice("off", "on")
    """Whether the workers count for Prometheus, at ``metrics_bind``. Only checked here: gunicorn's master reads it."""

    metrics_bind: str = _read(EnvironmentReader.text, "127.0.0.1:9464", bind_address)
    """The address and port of the metrics. Only checked here: gunicorn's master reads the variable."""

    step_up_max_age: int = _integer(300, 10, 86_400)
    """For how many seconds an authentication counts as recent: sensitive requests ask for one (RFC 9470)."""

    second_factor_required_roles: frozenset[str] | None = _read(EnvironmentReader.text, None, names)
    """Roles whose holders need a second factor: without one, they can do nothing but get one. Comma-separated."""

    mail_url: MailServer | None = _read(EnvironmentReader.text, None, mail_server, secret=True)  # noqa: RUF009 - a field
    """Where mail goes. Without it, nothing that needs mail exists. Secret: it may hold a password."""

    mail_from: Address | None = _read(EnvironmentReader.text, None, mail_from)  # noqa: RUF009 - a field
    """The sender of the mails. Required with ``mail_url``."""

    mail_timeout: float = _read(EnvironmentReader.number, 20, 1, 300)
    """How long connecting to the mail server may take, and then each mail, in seconds."""

    mail_sender: Literal["workers", "off"] = _choice("workers", "off")
    """Whether the workers send the mails. ``off``: ``flask mail deliver --watch`` does, in a process of its own."""

    mail_rate_limit: RateLimit | None = _read(EnvironmentReader.rate, RateLimit(5, 3600))
    """How many mails can be requested for one address, whether an account has it or not."""

    mail_new_login: Literal["off", "on"] = _choice("off", "on")
    """Whether a mail reports each login."""

    mail_templates: Path | None = _read(EnvironmentReader.text, None, folder)  # noqa: RUF009 - a field
    """A folder of templates that replace those in the package."""

    link_url: str | None = _read(EnvironmentReader.text, None, link_url)
    """Where links in mails lead, with ``{purpose}`` and ``#…{token}``. By default to the pages below the issuer."""

    email_verification: Literal["optional", "off", "required"] = _choice("optional", "off", "required")
    """Whether registration sends a link that verifies the address; ``required``: no login before that."""

    unverified_account_days: int = _integer(30, 0, 3650)
    """After how many days an account is deleted whose address must be verified and never was; 0: never."""

    login_links: Literal["off", "on"] = _choice("off", "on")
    """Whether one can log in with a link in a mail. NIST SP 800-63B-4 does not accept mail as an authenticator."""

    breached_passwords: str = _read(EnvironmentReader.text, "off", breach_source)
    """Where new passwords are looked up in lists of breached ones: ``off``, a range address, or a file."""

    origins: tuple[str, ...] | None = _read(EnvironmentReader.text, None, origins)
    """The origins whose pages may use passkeys, compared exactly. Without them, there are no passkeys."""

    rp_id: str | None = _read(EnvironmentReader.text, None, rp_id)
    """The domain that passkeys belong to. By default the issuer's host, or that of the first origin."""

    rp_name: str | None = _read(EnvironmentReader.text, None, str)
    """The name of this service that people see when they make a passkey. By default ``rp_id``."""

    cors_origins: tuple[str, ...] | None = _read(EnvironmentReader.text, None, cors_origins)
    """The other origins whose pages may use the API (CORS), compared exactly. Without them, none may."""

    refresh_cookie: Literal["off", "on"] = _choice("off", "on")
    """Whether a browser may keep its refresh token in a cookie that scripts cannot read."""

    console: Literal["off", "on"] = _choice("off", "on")
    """Whether administrators have a console at ``/console``."""

    providers: Mapping[str, ProviderSettings] | None = _read(EnvironmentReader.text, None, providers)
    """The providers that users may log in with, as JSON, by their names. Without it, there are none."""

    redirect_uris: tuple[str, ...] | None = _read(EnvironmentReader.text, None, redirect_uris)
    """Where providers may send users back to, compared exactly. Required with ``providers``. Separated by blanks."""

    @property
    def relying_party(self) -> RelyingParty | None:
        """Whom passkeys are made for; ``None`` if there are none. Raises ``ValueError`` as ``relying_party`` does."""
        return relying_party(self.origins, self.issuer, self.rp_id, self.rp_name) if self.origins else None

    def rate_limit(self, name: str) -> RateLimit | None:
        """Return the limit ``name``; ``None`` means no limit. Raises ``KeyError`` if no such limit is registered."""
        return self.rate_limits[name] if name in self.rate_limits else rate_limits[name]

    @classmethod
    def from_env(
        cls,
        *,
        check_keys: KeyChecker,
        check_encryption_keys: Callable[[str, str], Sequence[str]],
        development_keys: Mapping[str, Callable[[Path], str]],
        instance: Path,
    ) -> Self:
        """Return the settings from the environment.

        ``check_keys`` returns the problems of a JWK Set, and ``check_encryption_keys`` those of the one that encrypts,
        next to the one that signs. In development, each function in ``development_keys``, by the name of the setting,
        creates a set in ``instance``, the folder where ``make run`` keeps its data. A secret may also be read from a
        file whose path is in the variable with ``_FILE`` appended to its name. A variable that starts with ``AUTHAPP_``
        and is no setting is a problem, and so is one of the server's, such as ``PORT``, that cannot be used.

        Raises ``SettingsError``, which lists every problem.
        """
        reader = EnvironmentReader(check_keys)
        if reader.choice("env", cls.env, ["production", "development"]) == "development":
            reader.development = _development_defaults(reader, instance, development_keys)
        values = {}
        for setting in fields(cls):
            read, *arguments = setting.metadata["read"]
            values[setting.name] = read(reader, setting.name, *arguments)
        reader.require_order(values, "access_token_ttl", "refresh_token_ttl", "session_ttl")
        # Otherwise a name would be locked before the first delay.
        reader.require_share(values, "login_failures_per_account", "login_failures_max", NAMES_PER_ACCOUNT)
        needs = partial(reader.require_value, values)
        needs("mail_from", "AUTHAPP_MAIL_URL needs a sender.", where=values["mail_url"] is not None)
        is_required = values["email_verification"] == "required"
        needs("mail_url", "AUTHAPP_EMAIL_VERIFICATION=required needs it.", where=is_required)
        needs("origins", "AUTHAPP_RP_ID needs it.", where=values["rp_id"] is not None)
        why = "AUTHAPP_PROVIDERS needs the addresses where users come back."
        needs("redirect_uris", why, where=values["providers"] is not None)
        reader.problems += problems_of_passkeys(values) + problems_of_browsers(values)
        reader.problems += _problems_of_encryption_keys(values, check_encryption_keys)
        reader.check_server_variables()
        reader.report_unknown()
        if reader.problems:
            raise SettingsError(list(dict.fromkeys(reader.problems)))
        return cls(**values)


def _problems_of_encryption_keys(values: Mapping[str, Any], check: Callable[[str, str], Sequence[str]]) -> list[str]:
    if values["encryption_keys"] is None:
        return []
    problems = check(values["encryption_keys"], values["jwt_keys"] or "")
    return [f"AUTHAPP_ENCRYPTION_KEYS {problem}" for problem in problems]


def _development_defaults(
    reader: EnvironmentReader, instance: Path, development_keys: Mapping[str, Callable[[Path], str]]
) -> dict[str, Default]:
    url_file = instance / "database-url"
    return {
        "database_url": lambda: url_file.read_text().strip() if url_file.is_file() else None,
        **{
            name: partial(create, instance / f"{name.replace('_', '-')}.json")
            for name, create in development_keys.items()
        },
        "mail_url": (instance / "mail").as_uri,
        "mail_from": lambda: "authapp <no-reply@localhost.example>",
        # Passkeys belong to a domain, and 127.0.0.1 is none.
        "origins": lambda: f"http://localhost:{reader.port()}",
    }
