"""The environment of a good production server, and what is wrong with one that was changed."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from authapp.config import RateLimit, Settings, SettingsError
from authapp.extension import load_settings
from settings import KEYS

Set = Callable[..., None]
GOOD = {
    "AUTHAPP_ENV": "production",
    "DATABASE_URL": "postgresql://authapp:db-Passw0rd@db.example/authapp",
    "AUTHAPP_JWT_KEYS": KEYS,
    "AUTHAPP_ISSUER": "https://auth.example.com",
    "AUTHAPP_AUDIENCE": "authapp",
}
RATES = ["LOGIN", "REGISTER", "REFRESH", "PASSWORD", "API_KEY", "EXPORT", "MAIL", "DEFAULT"]
"""The general limit is a setting of its own; the others are registered by name."""
REQUIRED = ["DATABASE_URL", "AUTHAPP_JWT_KEYS", "AUTHAPP_ISSUER", "AUTHAPP_AUDIENCE"]
HMAC_SECRET = "bXktdmVyeS1vd24tc2hvcnQta2V5"
SERVER = ["PORT", "WEB_CONCURRENCY", "GUNICORN_CMD_ARGS"]


def jwks(*keys: Any) -> str:
    return json.dumps({"keys": keys})


def production(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **more: str) -> Set:
    """Set the environment to that of a good production server, with ``more``; nothing else is set.

    Returns a function that sets it again, with changes; ``None`` leaves a variable out.
    """

    def change(**changes: str | None) -> None:
        for name in list(os.environ):
            if name.startswith(("AUTHAPP_", "DATABASE_URL")) or name in SERVER:
                monkeypatch.delenv(name)
        for name, value in {**GOOD, **more, **changes}.items():
            if value is not None:
                monkeypatch.setenv(name, value)

    monkeypatch.chdir(tmp_path)
    change()
    return change


def problems() -> list[str]:
    with pytest.raises(SettingsError) as error:
        load_settings()
    message = str(error.value)
    assert all(message.count(f"\n  - {problem}\n") == 1 for problem in error.value.problems), message
    assert f"{len(error.value.problems)} problem" in message
    return list(error.value.problems)


def the_problem() -> str:
    found = problems()
    assert len(found) == 1, found
    return found[0]


def rate_limit(settings: Settings, name: str) -> RateLimit | None:
    return settings.rate_limit_default if name == "DEFAULT" else settings.rate_limit(name.lower())
