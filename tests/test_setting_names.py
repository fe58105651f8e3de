"""Names of variables that are no settings."""

from pathlib import Path

import pytest

from authapp.extension import load_settings
from variables import GOOD, Set, problems, production, the_problem


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Set:
    return production(monkeypatch, tmp_path)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("AUTHAPP_REGISTRATON", "AUTHAPP_REGISTRATION"),
        ("AUTHAPP_ISUER_FILE", "AUTHAPP_ISSUER_FILE"),
        ("AUTHAPP_DB_URL", "AUTHAPP_DATABASE_URL"),
        ("AUTHAPP_RATE_LIMIT_LOGINS", "AUTHAPP_RATE_LIMIT_LOGIN"),
        ("authapp_leeway", "AUTHAPP_LEEWAY"),
        ("AUTHAPP_LOG_LEVEL_FILE", "AUTHAPP_LOG_LEVEL"),
        ("AUTHAPP_DATABASE_URL_FILE_FILE", "AUTHAPP_DATABASE_URL_FILE"),
    ],
)
@pytest.mark.parametrize("value", ["closed", ""])
def test_a_name_that_is_no_setting_is_refused_and_the_nearest_one_named(
    env: Set, name: str, nearest: str, value: str
) -> None:
    env(**{name: value})

    assert the_problem() == f"{name} is not a setting. Do you mean {nearest}?"


def test_a_name_that_is_near_to_none_is_refused_as_well(env: Set) -> None:
    env(AUTHAPP_MOTD="hello", AUTHAPP_PORT="8123")

    assert problems() == ["AUTHAPP_MOTD is not a setting.", "AUTHAPP_PORT is not a setting."]


def test_what_kubernetes_sets_for_a_service_of_this_name_is_no_mistake(env: Set) -> None:
    address = "tcp://10.0.0.11:8000"
    env(
        AUTHAPP_SERVICE_HOST="10.0.0.11",
        AUTHAPP_SERVICE_PORT="8000",
        AUTHAPP_SERVICE_PORT_HTTP="8000",
        AUTHAPP_PORT=address,
        AUTHAPP_PORT_8000_TCP=address,
        AUTHAPP_PORT_8000_TCP_PROTO="tcp",
        AUTHAPP_PORT_8000_TCP_PORT="8000",
        AUTHAPP_PORT_8000_TCP_ADDR="10.0.0.11",
        AUTHAPP_DB_PORT="tcp://10.0.0.12:5432",
        AUTHAPP_DB_SERVICE_HOST="10.0.0.12",
    )

    assert load_settings().issuer == GOOD["AUTHAPP_ISSUER"]
