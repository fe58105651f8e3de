"""Settings for tests: everything is set here, and the code never learns that it is being tested."""

from email.headerregistry import Address
from pathlib import Path
from typing import Any

from authapp.config import MailServer, ProviderSettings, Settings
from authapp.security.encryption_keys import EncryptionKeys
from authapp.security.keys import Key, KeyRing

KEYS = KeyRing([Key.generate()]).to_json()
ENCRYPTION_KEYS = EncryptionKeys.generate(0).to_json()
CHEAP_HASHING = {"argon2_memory_kib": 8, "argon2_time_cost": 1}
WIDE_LIMITS = {
    "login_floor_ms": 0,
    "rate_limits": dict.fromkeys(["login", "register", "refresh", "password", "export", "mail"]),
    "hashing_queue_seconds": 60,
}
MANY_SESSIONS = {"sessions_per_account": 10_000}
MAIL: dict[str, Any] = {
    "mail_url": MailServer("console"),
    "mail_from": Address("Example accounts", "no-reply", "example.com"),
    "mail_rate_limit": None,
    "login_links": "on",
    "email_verification": "off",
}
"""With these, everything that needs mail exists. Nothing sends in a test's application: rows stay in the outbox."""


PASSKEYS: dict[str, Any] = {"origins": ("https://app.example.com", "https://example.co.uk"), "rp_id": "example.com"}
"""With these, everything that needs passkeys exists; the second origin is of another domain."""

PROVIDERS: dict[str, Any] = {
    "providers": {"example": ProviderSettings(name="example", issuer="https://op.invalid", client_id="authapp-client")},
    "redirect_uris": ("https://app.example.com/callback", "com.example.app:/callback"),
}
"""With these, everything that needs providers exists; nobody answers at that issuer."""


def mail(folder: Path, **changes: Any) -> dict[str, Any]:
    """Return the settings of an application whose mails go to ``folder``, and which has everything that needs mail."""
    server = MailServer("file", folder=folder)
    sender = Address("authapp", addr_spec="no-reply@auth.example.com")
    return {"mail_url": server, "mail_from": sender, "login_links": "on", **changes}


def settings(**changes: Any) -> Settings:
    """Return settings for a test, with ``changes``."""
    values: dict[str, Any] = {
        "jwt_keys": KEYS,
        "issuer": "https://auth.example.com",
        **CHEAP_HASHING,
        **WIDE_LIMITS,
        **MANY_SESSIONS,
        **MAIL,
        "encryption_keys": ENCRYPTION_KEYS,
        **PASSKEYS,
        **PROVIDERS,
        "console": "on",
        **changes,
    }
    return Settings(**values)
