"""The settings of browsers: what they accept, and what a wrong one is told."""

from pathlib import Path

import pytest

from authapp.extension import load_settings
from variables import Set, production, the_problem


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Set:
    return production(monkeypatch, tmp_path)


def test_no_page_of_another_origin_may_use_the_api_and_there_is_no_cookie(env: Set) -> None:
    assert (load_settings().cors_origins, load_settings().refresh_cookie) == (None, "off")


@pytest.mark.parametrize(
    ("written", "compared"),
    [
        ("https://app.example.com", ("https://app.example.com",)),
        ("https://App.Example.com:443", ("https://app.example.com",)),
        ("https://a.example.com:8443,  https://b.example.com", ("https://a.example.com:8443", "https://b.example.com")),
        ("https://a.example.com https://a.example.com", ("https://a.example.com",)),
        ("https://intranet https://192.0.2.1:8443", ("https://intranet", "https://192.0.2.1:8443")),
        ("https://[2001:DB8::1]:8443", ("https://[2001:db8::1]:8443",)),
    ],
)
def test_origins_are_compared_as_browsers_write_them(env: Set, written: str, compared: tuple[str, ...]) -> None:
    env(AUTHAPP_CORS_ORIGINS=written)
    assert load_settings().cors_origins == compared


@pytest.mark.parametrize(
    "value",
    [
        "*",
        "null",
        ",",
        "app.example.com",
        "//app.example.com",
        "https://",
        "https://*.example.com",
        "https://app.example.com/",
        "https://app.example.com/login",
        "https://app.example.com?",
        "https://a.example#",
        "https://user@app.example.com",
        "https://app.example.com:port",
        "https://app.example.com:",
        "ftp://a.example",
        "https://app.example.com.",
        "https://bücher.example",
        "https://127.1",
        "https://[::1",
        "https://a.example:0x1",
        "https://a.example:99999",
        "chrome-extension://abcdefghijklmnop",
        "https://[2001:db8:0::1]",
    ],
)
def test_what_is_no_origin_stops_the_start(env: Set, value: str) -> None:
    env(AUTHAPP_CORS_ORIGINS=value)
    assert the_problem().startswith("AUTHAPP_CORS_ORIGINS must be ")


@pytest.mark.parametrize("origin", ["http://app.example.com", "http://localhost:3000"])
def test_a_page_that_anybody_on_the_way_can_replace_is_for_development(env: Set, origin: str) -> None:
    env(AUTHAPP_CORS_ORIGINS=f"https://app.example.com {origin}")
    assert the_problem() == "AUTHAPP_CORS_ORIGINS must be https origins in production."
    env(AUTHAPP_CORS_ORIGINS=origin, AUTHAPP_ENV="development")
    assert load_settings().cors_origins == (origin,)


def test_a_cookie_for_https_needs_an_https_address(env: Set) -> None:
    env(AUTHAPP_REFRESH_COOKIE="on")
    assert load_settings().refresh_cookie == "on"
    env(AUTHAPP_REFRESH_COOKIE="on", AUTHAPP_ISSUER="http://auth.example.com")
    assert the_problem().startswith("AUTHAPP_REFRESH_COOKIE=on needs an https AUTHAPP_ISSUER")
    env(AUTHAPP_REFRESH_COOKIE="on", AUTHAPP_ENV="development", AUTHAPP_ISSUER="http://127.0.0.1:8000")
    assert load_settings().refresh_cookie == "on"
