"""Development: what is made and found there, so that nothing needs to be set."""

from pathlib import Path

import pytest

from authapp.extension import INSTANCE, load_settings
from settings import KEYS
from variables import GOOD, REQUIRED, Set, production, the_problem


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Set:
    return production(monkeypatch, tmp_path)


def test_development_needs_no_more_than_a_database(env: Set, tmp_path: Path) -> None:
    env(**dict.fromkeys(REQUIRED), AUTHAPP_ENV="development")
    (tmp_path / INSTANCE).mkdir()
    (tmp_path / INSTANCE / "database-url").write_text("postgresql://127.0.0.1:5555/dev\n")

    first, second = load_settings(), load_settings()

    assert first == second
    assert first.database_url == "postgresql+psycopg2://127.0.0.1:5555/dev"
    assert (first.env, first.issuer, first.audience) == ("development", "http://127.0.0.1:8000", "authapp")
    assert first.jwt_keys == (tmp_path / INSTANCE / "jwt-keys.json").read_text()
    assert (tmp_path / INSTANCE / "jwt-keys.json").stat().st_mode & 0o777 == 0o600


def test_development_without_a_database_says_how_to_get_one(env: Set) -> None:
    env(DATABASE_URL=None, AUTHAPP_ENV="development")

    assert "make run" in the_problem()


def test_development_takes_what_is_set(env: Set, tmp_path: Path) -> None:
    env(AUTHAPP_ENV="development", AUTHAPP_ARGON2_TIME_COST="1", AUTHAPP_ARGON2_MEMORY_KIB="8")

    settings = load_settings()

    assert (settings.jwt_keys, settings.issuer, settings.argon2_memory_kib) == (KEYS, GOOD["AUTHAPP_ISSUER"], 8)
    assert [path.name for path in (tmp_path / INSTANCE).iterdir()] == ["encryption-keys.json"]


def test_in_development_the_issuer_has_the_port(env: Set) -> None:
    env(AUTHAPP_ENV="development", AUTHAPP_ISSUER=None, PORT="8123")

    assert load_settings().issuer == "http://127.0.0.1:8123"
