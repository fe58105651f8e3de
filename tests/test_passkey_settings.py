"""The settings of passkeys: what they accept, and what a wrong one is told."""

from pathlib import Path

import pytest

from authapp.config import RelyingParty
from authapp.extension import load_settings
from variables import Set, production, the_problem


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Set:
    return production(monkeypatch, tmp_path)


def party() -> RelyingParty:
    found = load_settings().relying_party
    assert found is not None
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
    env(AUTHAPP_ORIGINS=written)
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
    env(AUTHAPP_ORIGINS=value)
    assert the_problem().startswith("AUTHAPP_ORIGINS must be ")


@pytest.mark.parametrize("value", ["http://127.0.0.1:8000", "https://[::1]", "https://192.0.2.1"])
def test_an_address_of_a_machine_is_no_domain(env: Set, value: str) -> None:
    env(AUTHAPP_ORIGINS=value)
    assert the_problem().startswith("AUTHAPP_ORIGINS must name hosts")


@pytest.mark.parametrize(
    ("changes", "rp_id"),
    [
        ({"AUTHAPP_ORIGINS": "https://auth.example.com"}, "auth.example.com"),
        ({"AUTHAPP_ORIGINS": "https://app.auth.example.com"}, "auth.example.com"),
        ({"AUTHAPP_ORIGINS": "https://app.example.com"}, "app.example.com"),
        ({"AUTHAPP_ORIGINS": "https://app.example.com", "AUTHAPP_ISSUER": "https://com"}, "app.example.com"),
        ({"AUTHAPP_ORIGINS": "https://app.example.com", "AUTHAPP_RP_ID": "example.com"}, "example.com"),
        ({"AUTHAPP_ORIGINS": "http://localhost:3000", "AUTHAPP_ISSUER": "http://127.0.0.1:8000"}, "localhost"),
        ({"AUTHAPP_ORIGINS": f"android:apk-key-hash:{'A' * 43}"}, "auth.example.com"),
    ],
)
def test_the_domain_is_that_of_the_issuer_or_of_the_first_origin(env: Set, changes: dict[str, str], rp_id: str) -> None:
    env(**changes)
    assert (party().id, party().name, party().related_origins) == (rp_id, rp_id, [])


@pytest.mark.parametrize("value", ["ample.com", "other.example", "app.example.com.other.example", "localhost"])
def test_a_domain_that_no_origin_belongs_to_stops_the_start(env: Set, value: str) -> None:
    env(AUTHAPP_ORIGINS="https://app.example.com", AUTHAPP_RP_ID=value)
    assert the_problem() == "AUTHAPP_RP_ID must be the host of one of AUTHAPP_ORIGINS, or a domain above it."


@pytest.mark.parametrize("value", ["com", "Example.com", "https://example.com", "192.0.2.1", "example.com.", "-a.com"])
def test_what_is_no_domain_stops_the_start(env: Set, value: str) -> None:
    env(AUTHAPP_ORIGINS="https://app.example.com", AUTHAPP_RP_ID=value)
    assert the_problem().startswith("AUTHAPP_RP_ID must be a domain such as example.com")


def test_a_domain_without_origins_stops_the_start(env: Set) -> None:
    env(AUTHAPP_RP_ID="example.com")
    assert the_problem() == "AUTHAPP_ORIGINS is missing: AUTHAPP_RP_ID needs it."


def test_origins_of_other_domains_are_related_ones(env: Set) -> None:
    origins = "https://example.com https://app.example.com https://example.co.uk https://notexample.com"
    env(AUTHAPP_ORIGINS=origins, AUTHAPP_RP_ID="example.com", AUTHAPP_RP_NAME="Example")
    assert party().related_origins == ["https://example.co.uk", "https://notexample.com"]
    assert party().name == "Example"


def test_development_has_passkeys_on_localhost(env: Set) -> None:
    env(AUTHAPP_ENV="development", PORT="8123")
    assert (party().id, party().origins) == ("localhost", ("http://localhost:8123",))
    env(AUTHAPP_ENV="development", PORT="80")
    assert party().origins == ("http://localhost",)
