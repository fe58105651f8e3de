"""Settings that hold a secret: they may come from a file, and neither they nor an error shows it."""

from dataclasses import fields
from pathlib import Path

import pytest

from authapp.config import Settings, SettingsError
from authapp.extension import load_settings
from authapp.security.keys import KeyRing
from settings import KEYS
from variables import GOOD, HMAC_SECRET, Set, jwks, production, the_problem


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Set:
    return production(monkeypatch, tmp_path)


@pytest.mark.parametrize("name", ["DATABASE_URL", "AUTHAPP_DATABASE_URL", "AUTHAPP_JWT_KEYS"])
def test_a_secret_may_come_from_a_file(env: Set, tmp_path: Path, name: str) -> None:
    expected = load_settings()
    file = tmp_path / "secret"
    file.write_text(GOOD[name if name in GOOD else "DATABASE_URL"] + "\n")
    env(**{name.replace("AUTHAPP_DATABASE", "DATABASE"): None, name + "_FILE": str(file)})

    assert load_settings().database_url == expected.database_url
    assert KeyRing.from_json(load_settings().jwt_keys).signing.kid == KeyRing.from_json(KEYS).signing.kid


@pytest.mark.parametrize("name", ["DATABASE_URL", "AUTHAPP_JWT_KEYS"])
@pytest.mark.parametrize("content", [None, b"\xff\xfe secret"])
def test_a_file_that_cannot_be_read_is_named(env: Set, tmp_path: Path, name: str, content: bytes | None) -> None:
    file = tmp_path / "secret"
    if content:
        file.write_bytes(content)
    env(**{name: None, name + "_FILE": str(file)})

    assert name + "_FILE" in the_problem()


def test_a_folder_is_no_file(env: Set, tmp_path: Path) -> None:
    env(AUTHAPP_JWT_KEYS=None, AUTHAPP_JWT_KEYS_FILE=str(tmp_path))

    assert "AUTHAPP_JWT_KEYS_FILE" in the_problem()


def test_one_file_that_cannot_be_read_is_one_problem(env: Set, tmp_path: Path) -> None:
    env(DATABASE_URL=None, AUTHAPP_DATABASE_URL_FILE=str(tmp_path / "missing"))

    assert "AUTHAPP_DATABASE_URL_FILE" in the_problem()


@pytest.mark.parametrize(
    ("name", "value", "secrets"),
    [
        ("DATABASE_URL", "mysql://authapp:hunter2-x@db.example/authapp", ["hunter2"]),
        ("DATABASE_URL", "postgresql://authapp:hunter2-x@db.example:port/authapp", ["hunter2"]),
        ("DATABASE_URL", "postgresql://authapp:top@hunter2:hunter3@db.example/authapp", ["hunter2", "hunter3"]),
        ("DATABASE_URL", "hunter2:hunter3@db.example", ["hunter2", "hunter3"]),
        (
            "DATABASE_URL",
            "postgresql://db.example/authapp?user=authapp&password=top&hunter2=hunter3",
            ["hunter2", "hunter3"],
        ),
        ("AUTHAPP_JWT_KEYS", HMAC_SECRET, [HMAC_SECRET]),
        ("AUTHAPP_JWT_KEYS", jwks({"kty": "oct", "k": HMAC_SECRET}), [HMAC_SECRET]),
        ("AUTHAPP_JWT_KEYS", jwks({"kty": HMAC_SECRET, "k": 5}, HMAC_SECRET), [HMAC_SECRET]),
    ],
)
def test_the_error_shows_no_secret(env: Set, name: str, value: str, secrets: list[str]) -> None:
    env(**{name: value})
    with pytest.raises(SettingsError) as error:
        load_settings()

    shown = str(error.value) + repr(error.value) + repr(error.value.problems)
    assert [secret for secret in secrets if secret in shown] == []


def test_settings_show_no_secret(env: Set) -> None:
    settings = load_settings()
    shown = f"{settings!r} {settings}"

    assert "db-Passw0rd" not in shown
    assert KeyRing.from_json(KEYS).signing.jwk["d"] not in shown
    assert {field.name for field in fields(Settings) if not field.repr} == {
        "database_url",
        "encryption_keys",
        "jwt_keys",
        "mail_url",
        "rate_limit_storage",
    }


def test_a_secret_in_the_place_of_its_files_name_is_not_shown(env: Set) -> None:
    env(AUTHAPP_JWT_KEYS=None, AUTHAPP_JWT_KEYS_FILE=KEYS * 3)

    problem = the_problem()

    assert problem == "AUTHAPP_JWT_KEYS_FILE must name a file that can be read."
