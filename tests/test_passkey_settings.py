"""The settings of passkeys: what they accept, and what a wrong one is told."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from authapp.config import RelyingParty, SettingsError
from authapp.extension import load_settings
from settings import KEYS

Set = Callable[..., None]
GOOD = {
    "DATABASE_URL": "postgresql://authapp@db.example/authapp",
    "AUTHAPP_JWT_KEYS": KEYS,
    "AUTHAPP_ISSUER": "https://auth.example.com",
    "AUTHAPP_AUDIENCE": "authapp",
}


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Set:
    def change(**changes: str) -> None:
        for name, value in changes.items():
            monkeypatch.setenv(name if name == "PORT" else f"AUTHAPP_{name}", value)

    for name in list(os.environ):
        if name.startswith(("AUTHAPP_", "DATABASE_URL", "PORT")):
            monkeypatch.delenv(name)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return change


def party() -> RelyingParty:
    found = load_settings().relying_party
    assert found is not None
    return found


def problem() -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings()
    (found,) = caught.value.problems
    return found


def test_without_origins_there_are_no_passkeys(env: Set) -> None:
    assert load_settings().relying_party is None


@pytest.mark.parametrize(
    ("written", "compared"),
    [
        ("https://app.example.com", ("https://app.example.com",)),
        ("https://App.Example.com:443", ("https://app.example.com",)),
        ("https://a.example.com:8443  https://b.example.com", ("https://a.example.com:8443", "https://b.example.com")),
        ("https://a.example.com,https://a.example.com", ("https://a.example.com",)),
        ("http://localhost:3000", ("http://localhost:3000",)),
    ],
)
def test_origins_are_compared_as_browsers_write_them(env: Set, written: str, compared: tuple[str, ...]) -> None:
    env(ORIGINS=written)
    assert party().origins == compared


@pytest.mark.parametrize(
    "value",
    [
        "app.example.com",
        "https://app.example.com/",
        "https://app.example.com/login",
        "https://app.example.com?",
        "https://user@app.example.com",
        "https://*.example.com",
        "https://",
        "https://app.example.com:port",
        "http://app.example.com",
        "ftp://app.example.com",
        "https://bücher.example",
        "https://com",
        "null",
        "*",
        ",",
        "android:apk-key-hash:short",
    ],
)
def test_what_is_no_origin_stops_the_start(env: Set, value: str) -> None:
    env(ORIGINS=value)
    assert problem().startswith("AUTHAPP_ORIGINS must be ")


@pytest.mark.parametrize("value", ["http://127.0.0.1:8000", "https://[::1]", "https://192.0.2.1"])
def test_an_address_of_a_machine_is_no_domain(env: Set, value: str) -> None:
    env(ORIGINS=value)
    assert problem().startswith("AUTHAPP_ORIGINS must name hosts")


@pytest.mark.parametrize(
    ("changes", "rp_id"),
    [
        ({"ORIGINS": "https://auth.example.com"}, "auth.example.com"),
        ({"ORIGINS": "https://app.auth.example.com"}, "auth.example.com"),
        ({"ORIGINS": "https://app.example.com"}, "app.example.com"),
        ({"ORIGINS": "https://app.example.com", "ISSUER": "https://com"}, "app.example.com"),
        ({"ORIGINS": "https://app.example.com", "RP_ID": "example.com"}, "example.com"),
        ({"ORIGINS": "http://localhost:3000", "ISSUER": "http://127.0.0.1:8000"}, "localhost"),
        ({"ORIGINS": f"android:apk-key-hash:{'A' * 43}"}, "auth.example.com"),
    ],
)
def test_the_domain_is_that_of_the_issuer_or_of_the_first_origin(env: Set, changes: dict[str, str], rp_id: str) -> None:
    env(**changes)
    assert (party().id, party().name, party().related_origins) == (rp_id, rp_id, [])


@pytest.mark.parametrize("value", ["ample.com", "other.example", "app.example.com.other.example", "localhost"])
def test_a_domain_that_no_origin_belongs_to_stops_the_start(env: Set, value: str) -> None:
    env(ORIGINS="https://app.example.com", RP_ID=value)
    assert problem() == "AUTHAPP_RP_ID must be the host of one of AUTHAPP_ORIGINS, or a domain above it."


@pytest.mark.parametrize("value", ["com", "Example.com", "https://example.com", "192.0.2.1", "example.com.", "-a.com"])
def test_what_is_no_domain_stops_the_start(env: Set, value: str) -> None:
    env(ORIGINS="https://app.example.com", RP_ID=value)
    assert problem().startswith("AUTHAPP_RP_ID must be a domain such as example.com")


def test_a_domain_without_origins_stops_the_start(env: Set) -> None:
    env(RP_ID="example.com")
    assert problem() == "AUTHAPP_ORIGINS is missing: AUTHAPP_RP_ID needs it."


def test_origins_of_other_domains_are_related_ones(env: Set) -> None:
    env(ORIGINS="https://example.com https://app.example.com https://example.co.uk https://notexample.com")
    env(RP_ID="example.com", RP_NAME="Example")
    assert party().related_origins == ["https://example.co.uk", "https://notexample.com"]
    assert party().name == "Example"


def test_development_has_passkeys_on_localhost(env: Set) -> None:
    env(ENV="development", PORT="8123")
    assert (party().id, party().origins) == ("localhost", ("http://localhost:8123",))
    env(PORT="80")
    assert party().origins == ("http://localhost",)
