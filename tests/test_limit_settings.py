"""The settings of limits and of failures."""

from pathlib import Path

import pytest

from authapp.config import RateLimit, rate_limits
from authapp.extension import load_settings
from variables import RATES, Set, problems, production, rate_limit, the_problem


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Set:
    return production(monkeypatch, tmp_path)


@pytest.mark.parametrize("name", RATES)
def test_a_limit_can_be_turned_off(env: Set, name: str) -> None:
    env(**{f"AUTHAPP_RATE_LIMIT_{name}": "off"})

    assert rate_limit(load_settings(), name) is None


@pytest.mark.parametrize("value", ["0/minute", "-1/minute", "120", "many", "1e9/minute", "9999999/minute", "1/month"])
def test_what_is_no_limit_is_named(env: Set, value: str) -> None:
    env(AUTHAPP_RATE_LIMIT_LOGIN=value)

    assert the_problem().startswith("AUTHAPP_RATE_LIMIT_LOGIN must be a limit such as 120/minute")


@pytest.mark.parametrize("value", ["cache.example", "http://cache.example", "rediss+unix:///run/cache"])
def test_what_is_no_storage_is_named_without_its_secret(env: Set, value: str) -> None:
    env(AUTHAPP_RATE_LIMIT_STORAGE=value)

    problem = the_problem()
    assert problem.startswith("AUTHAPP_RATE_LIMIT_STORAGE must be an address such as memory://")
    assert value not in problem


@pytest.mark.parametrize(("free", "most"), [("20", "10"), ("6", "11"), ("2", "1")])
def test_the_delays_of_a_name_begin_before_its_lock(env: Set, free: str, most: str) -> None:
    env(AUTHAPP_LOGIN_FAILURES_PER_ACCOUNT=free, AUTHAPP_LOGIN_FAILURES_MAX=most)

    wanted = "AUTHAPP_LOGIN_FAILURES_PER_ACCOUNT must not be more than AUTHAPP_LOGIN_FAILURES_MAX divided by 2."
    assert the_problem() == wanted


@pytest.mark.parametrize(("free", "most"), [("5", "10"), ("5", "11"), ("1", "1"), ("50", "100")])
def test_the_first_delay_of_a_name_may_coincide_with_its_lock(env: Set, free: str, most: str) -> None:
    env(AUTHAPP_LOGIN_FAILURES_PER_ACCOUNT=free, AUTHAPP_LOGIN_FAILURES_MAX=most)

    assert load_settings().login_failures_per_account == int(free)


def test_the_limit_of_a_project_is_a_setting_once_it_is_registered(env: Set) -> None:
    env(AUTHAPP_RATE_LIMIT_EXPORTS="5/minute", AUTHAPP_RATE_LIMIT_EXPORTS_FILE="")
    assert all("is not a setting" in problem for problem in problems())

    rate_limits.register("exports", RateLimit(1, 60))
    try:
        assert load_settings().rate_limit("exports") == RateLimit(5, 60)
    finally:
        rate_limits.unregister("exports")
