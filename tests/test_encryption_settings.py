"""The setting of the keys that encrypt: optional, judged as the ring judges it, and never a key that signs."""

from pathlib import Path

import pytest

from authapp import create_app
from authapp.config import Settings, SettingsError
from authapp.extension import INSTANCE, load_settings
from authapp.security import base64url
from authapp.security.encryption_keys import EncryptionKeys
from authapp.security.keys import KeyRing
from settings import ENCRYPTION_KEYS, KEYS
from variables import REQUIRED, Set, jwks, problems, production, the_problem

SECRET = base64url.encode(bytes(range(32)))
NAME = "AUTHAPP_ENCRYPTION_KEYS"


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Set:
    return production(monkeypatch, tmp_path)


def test_production_makes_none_and_starts_without(env: Set, tmp_path: Path) -> None:
    assert load_settings().encryption_keys is None
    assert list(tmp_path.iterdir()) == []


def test_what_is_set_is_taken_and_not_shown(env: Set) -> None:
    env(AUTHAPP_ENCRYPTION_KEYS=ENCRYPTION_KEYS)

    settings = load_settings()

    assert settings.encryption_keys == ENCRYPTION_KEYS
    assert "encryption_keys" not in repr(settings)


def test_a_file_is_taken(env: Set, tmp_path: Path) -> None:
    path = tmp_path / "encryption-keys.json"
    path.write_text(ENCRYPTION_KEYS)
    env(AUTHAPP_ENCRYPTION_KEYS_FILE=str(path))

    assert load_settings().encryption_keys == ENCRYPTION_KEYS


def test_development_makes_a_file_that_only_its_owner_reads(env: Set, tmp_path: Path) -> None:
    env(**dict.fromkeys(REQUIRED), AUTHAPP_ENV="development")
    (tmp_path / INSTANCE).mkdir()
    (tmp_path / INSTANCE / "database-url").write_text("postgresql://127.0.0.1:5555/dev\n")

    first, second = load_settings(), load_settings()

    path = tmp_path / INSTANCE / "encryption-keys.json"
    assert first.encryption_keys == second.encryption_keys == path.read_text().strip() + "\n"
    assert len([*EncryptionKeys.from_json(first.encryption_keys or "")]) == 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert KeyRing.from_json(first.jwt_keys)


@pytest.mark.parametrize("value", ["a secret", '{"keys": []}', jwks({"kty": "oct", "k": "AAAA"}), KEYS])
def test_what_is_no_set_of_such_keys_is_named_without_its_secret(env: Set, value: str) -> None:
    env(AUTHAPP_ENCRYPTION_KEYS=value)

    assert the_problem().startswith(f"{NAME} ")
    assert "AAAA" not in the_problem()


def test_every_problem_is_listed_with_those_of_other_settings(env: Set) -> None:
    env(AUTHAPP_ENCRYPTION_KEYS=jwks("key", {"kty": "oct", "k": "AAAA"}), AUTHAPP_LEEWAY="x", AUTHAPP_JWT_KEYS="none")

    names = [problem.partition(" ")[0] for problem in problems()]
    assert sorted(names) == ["AUTHAPP_ENCRYPTION_KEYS"] * 2 + ["AUTHAPP_JWT_KEYS", "AUTHAPP_LEEWAY"]


def test_a_key_that_signs_is_refused(env: Set) -> None:
    keys = jwks({"kty": "oct", "k": SECRET})
    env(AUTHAPP_ENCRYPTION_KEYS=keys, AUTHAPP_JWT_KEYS=keys)
    assert the_problem() == f"{NAME} key 1 is one of AUTHAPP_JWT_KEYS. Generate another one."

    with pytest.raises(SettingsError, match=f"{NAME}: key 1 is one of AUTHAPP_JWT_KEYS"):
        create_app(Settings(database_url="postgresql+psycopg2://h/d", jwt_keys=keys, encryption_keys=keys))


def test_an_application_is_not_made_with_keys_that_cannot_be_used() -> None:
    with pytest.raises(SettingsError, match=f"{NAME}: holds no key"):
        create_app(Settings(database_url="postgresql+psycopg2://h/d", jwt_keys=KEYS, encryption_keys='{"keys": []}'))
