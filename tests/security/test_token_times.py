"""The clock and the leeway: each edge from both sides."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from authapp import clock
from authapp.errors import TokenExpired, TokenInvalid
from authapp.security.tokens import Claims
from security.forging import RULES, TOKENS, claims, forged

ISSUED = 1_800_000_000
EXPIRES = ISSUED + RULES.access_ttl
Reader = Callable[..., Claims]


@pytest.fixture
def read_at(monkeypatch: pytest.MonkeyPatch) -> Reader:
    """Read, at a given time, a token that was issued at ``ISSUED``; its claims can be changed."""

    def read(now: float, **changes: int) -> Claims:
        token = forged(claims_=claims(**{"iat": ISSUED, "nbf": ISSUED, "exp": EXPIRES, **changes}))
        monkeypatch.setattr(clock, "now", lambda: datetime.fromtimestamp(now, UTC))
        return TOKENS.read(token)

    return read


@pytest.mark.parametrize("now", [ISSUED, EXPIRES - 1, EXPIRES, EXPIRES + RULES.leeway - 0.001])
def test_a_token_is_good_until_its_expiry_and_the_leeway(read_at: Reader, now: float) -> None:
    assert read_at(now)["exp"] == EXPIRES


@pytest.mark.parametrize("now", [EXPIRES + RULES.leeway, EXPIRES + RULES.leeway + 1, EXPIRES + 10**9])
def test_after_the_leeway_it_has_expired(read_at: Reader, now: float) -> None:
    with pytest.raises(TokenExpired):
        read_at(now)


def test_a_clock_that_is_behind_by_the_leeway_is_forgiven(read_at: Reader) -> None:
    assert read_at(ISSUED - RULES.leeway)["iat"] == ISSUED


def test_a_token_from_the_future_is_invalid(read_at: Reader) -> None:
    with pytest.raises(TokenInvalid):
        read_at(ISSUED - RULES.leeway - 0.001)


def test_a_token_issued_in_the_future_is_invalid_though_it_may_be_used(read_at: Reader) -> None:
    with pytest.raises(TokenInvalid):
        read_at(ISSUED - RULES.leeway - 1, nbf=ISSUED - 100)


def test_a_token_may_not_be_used_before_its_time(read_at: Reader) -> None:
    later = ISSUED + 60

    with pytest.raises(TokenInvalid):
        read_at(later - RULES.leeway - 0.001, nbf=later)
    assert read_at(later - RULES.leeway, nbf=later)["nbf"] == later


def test_a_token_that_is_expired_and_wrong_is_invalid(read_at: Reader) -> None:
    with pytest.raises(TokenInvalid):
        read_at(EXPIRES + 60, exp=EXPIRES + 1)  # its lifetime is too long by a second
    with pytest.raises(TokenInvalid):
        read_at(EXPIRES + 60, nbf=EXPIRES + 120)
