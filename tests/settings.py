"""Settings for tests: everything is set here, and the code never learns that it is being tested."""

from email.headerregistry import Address
from typing import Any

from authapp.config import MailServer, Settings
from authapp.security.keys import Key, KeyRing

KEYS = KeyRing([Key.generate()]).to_json()
CHEAP_HASHING = {"argon2_memory_kib": 8, "argon2_time_cost": 1}
WIDE_LIMITS = {
    "rate_limits": dict.fromkeys(["login", "register", "refresh", "password", "mail"]),
    "hashing_queue_seconds": 60,
}
MAIL: dict[str, Any] = {
    "mail_url": MailServer("console"),
    "mail_from": Address("authapp", addr_spec="no-reply@example.com"),
    "mail_rate_limit": None,
}
"""For what exists only where mail can be sent. Nothing sends in a test's application: rows stay in the outbox."""
MANY_SESSIONS = {"sessions_per_account": 10_000}


def settings(**changes: Any) -> Settings:
    """Return settings for a test, with ``changes``."""
    values: dict[str, Any] = {
        "jwt_keys": KEYS,
        "issuer": "https://auth.example.com",
        **CHEAP_HASHING,
        **WIDE_LIMITS,
        **MANY_SESSIONS,
        **changes,
    }
    return Settings(**values)
