"""What ``flask doctor`` says of the refresh cookie of browsers."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from authapp.cli.checks import CheckLevel
from authapp.cli.checks.browsers import cookie
from authapp.domain.services import Services
from settings import settings


def levels(**changes: Any) -> list[CheckLevel]:
    services = cast("Services", SimpleNamespace(settings=settings(database_url="", **changes)))
    return [result.level for result in cookie(services)]


@pytest.mark.parametrize(
    ("issuer", "listed", "level"),
    [
        ("https://auth.example.com", (), CheckLevel.OK),
        ("https://auth.example.com", ("https://app.example.com:8443", "https://example.com"), CheckLevel.OK),
        ("https://auth.example.com", ("https://app.example.com", "https://app.example.net"), CheckLevel.WARN),
        ("https://auth.example.com", ("https://auth.notexample.com",), CheckLevel.WARN),
        ("https://auth.example.com", ("http://app.example.com",), CheckLevel.WARN),
        ("http://localhost:8000", ("http://localhost:3000",), CheckLevel.OK),
        ("http://127.0.0.1:8000", ("http://localhost:3000",), CheckLevel.WARN),
        ("https://192.0.2.1", ("https://198.51.2.1",), CheckLevel.WARN),
    ],
)
def test_origins_that_never_send_the_cookie_are_warned_of(
    issuer: str, listed: tuple[str, ...], level: CheckLevel
) -> None:
    assert levels(issuer=issuer, cors_origins=listed, refresh_cookie="on") == [level]


def test_without_the_cookie_nothing_is_said() -> None:
    assert levels(cors_origins=("https://app.example.net",)) == []
