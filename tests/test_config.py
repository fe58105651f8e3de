"""The environment, read as the factory reads it."""

import ast
import inspect
import itertools
import os
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path
from typing import Any

import pytest

from authapp.config import RateLimit, Settings, SettingsError, normalised_database_url, rate_limits
from authapp.extension import load_settings
from authapp.factory import create_app
from authapp.security.keys import Key, KeyRing
from settings import ENCRYPTION_KEYS, KEYS
from variables import (
    GOOD,
    HMAC_SECRET,
    RATES,
    REQUIRED,
    SERVER,
    Set,
    jwks,
    problems,
    production,
    rate_limit,
    the_problem,
)


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Set:
    return production(monkeypatch, tmp_path)


def test_good_settings_are_read(env: Set) -> None:
    env(AUTHAPP_SESSION_TTL="8000000", AUTHAPP_DATABASE_TIMEOUT="1.5", AUTHAPP_LOG_LEVEL="DEBUG")

    settings = load_settings()

    assert (settings.env, settings.issuer, settings.audience) == ("production", GOOD["AUTHAPP_ISSUER"], "authapp")
    assert settings.database_url == "postgresql+psycopg2://authapp:db-Passw0rd@db.example/authapp"
    assert settings.jwt_keys == KEYS
    assert (settings.session_ttl, settings.database_timeout, settings.log_level) == (8_000_000, 1.5, "DEBUG")


def test_what_is_not_set_has_the_agreed_default(env: Set) -> None:
    settings = load_settings()

    assert (settings.access_token_ttl, settings.refresh_token_ttl, settings.session_ttl) == (900, 2_592_000, 7_776_000)
    assert (settings.refresh_grace, settings.leeway, settings.registration, settings.trusted_proxies) == (
        10,
        5,
        "open",
        0,
    )
    assert (settings.refresh_retry, settings.sessions_per_account) == (86_400, 100)
    assert (settings.argon2_memory_kib, settings.argon2_time_cost, settings.log_level) == (19_456, 2, "INFO")


def test_the_default_of_a_setting_is_that_of_its_field(env: Set) -> None:
    given = {"database_url": load_settings().database_url, "jwt_keys": KEYS, "issuer": GOOD["AUTHAPP_ISSUER"]}

    settings, defaults = load_settings(), Settings(**given)
    assert replace(settings, rate_limits={}) == defaults
    assert (
        settings.rate_limits == {name: defaults.rate_limit(name) for name in rate_limits} == dict(rate_limits.items())
    )


def test_production_is_the_default(env: Set) -> None:
    env(AUTHAPP_ENV=None, AUTHAPP_ISSUER=None)

    assert "AUTHAPP_ISSUER is missing" in the_problem()


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("value", [None, ""])
def test_a_required_setting_that_is_missing_is_named(env: Set, name: str, value: str | None) -> None:
    env(**{name: value})

    assert the_problem().startswith(f"{name} is missing.")


@pytest.mark.parametrize("name", ["AUTHAPP_AUDIENCE", "AUTHAPP_ISSUER"])
def test_a_required_setting_of_nothing_but_spaces_is_missing(env: Set, name: str) -> None:
    env(**{name: "   "})

    assert name in the_problem()


def test_everything_that_is_missing_is_named_in_one_error(env: Set) -> None:
    env(**dict.fromkeys(REQUIRED))

    assert [problem.split()[0] for problem in problems()] == REQUIRED


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUTHAPP_ENV", "test"),
        ("AUTHAPP_ENV", "PRODUCTION"),
        ("AUTHAPP_REGISTRATION", "maybe"),
        ("AUTHAPP_LOG_LEVEL", "LOUD"),
        ("AUTHAPP_LOG_HEALTH_PROBES", "no"),
        ("AUTHAPP_METRICS", "yes"),
        ("AUTHAPP_METRICS_BIND", "9464"),
        ("AUTHAPP_METRICS_BIND", "127.0.0.1:99999"),
        ("AUTHAPP_METRICS_BIND", "http://127.0.0.1:9464"),
        ("AUTHAPP_ACCESS_TOKEN_TTL", "9"),
        ("AUTHAPP_ACCESS_TOKEN_TTL", "86401"),
        ("AUTHAPP_ACCESS_TOKEN_TTL", "15 min"),
        ("AUTHAPP_ACCESS_TOKEN_TTL", "900.5"),
        ("AUTHAPP_REFRESH_TOKEN_TTL", "59"),
        ("AUTHAPP_REFRESH_TOKEN_TTL", "-1"),
        ("AUTHAPP_SESSION_TTL", "31536001"),
        ("AUTHAPP_REFRESH_GRACE", "61"),
        ("AUTHAPP_REFRESH_GRACE", "-1"),
        ("AUTHAPP_SESSIONS_PER_ACCOUNT", "0"),
        ("AUTHAPP_SESSIONS_PER_ACCOUNT", "10001"),
        ("AUTHAPP_LEEWAY", "61"),
        ("AUTHAPP_LEEWAY", "five"),
        ("AUTHAPP_LEEWAY", "1" * 5000),
        ("AUTHAPP_TRUSTED_PROXIES", "11"),
        ("AUTHAPP_TRUSTED_PROXIES", "true"),
        ("AUTHAPP_DATABASE_POOL_SIZE", "0"),
        ("AUTHAPP_DATABASE_TIMEOUT", "nan"),
        ("AUTHAPP_DATABASE_TIMEOUT", "inf"),
        ("AUTHAPP_DATABASE_TIMEOUT", "0"),
        ("AUTHAPP_ARGON2_MEMORY_KIB", "19455"),
        ("AUTHAPP_ARGON2_TIME_COST", "1"),
        ("AUTHAPP_ISSUER", "auth.example.com"),
        ("AUTHAPP_ISSUER", "ftp://auth.example.com"),
        ("AUTHAPP_ISSUER", "https://"),
        ("AUTHAPP_ISSUER", "https://auth.example.com?x=1"),
        ("AUTHAPP_ISSUER", "https://auth.example.com#x"),
        ("AUTHAPP_ISSUER", "https://auth example.com"),
        ("AUTHAPP_ISSUER", "http://[::1"),
        ("AUTHAPP_ISSUER", "https://auth.example.com/<path>"),
        ("AUTHAPP_ISSUER", "https://auth.example.com/%3Cpath%3E"),
        ("DATABASE_URL", "mysql://authapp@db.example/authapp"),
        ("DATABASE_URL", "sqlite:///authapp.db"),
        ("DATABASE_URL", "postgresql+asyncpg://db.example/authapp"),
        ("DATABASE_URL", "db.example"),
        ("DATABASE_URL", "postgresql://db.example:port/authapp"),
        ("PORT", "0"),
        ("PORT", "70000"),
        ("PORT", "http"),
        ("PORT", "+8000"),
        ("PORT", "8_000"),
        ("WEB_CONCURRENCY", "1_0"),
        ("WEB_CONCURRENCY", "0"),
        ("WEB_CONCURRENCY", "-1"),
        ("WEB_CONCURRENCY", "many"),
        ("GUNICORN_CMD_ARGS", "--access-logfile '/var/log"),
        ("DATABASE_URL", "postgresql://db.example/authapp?sslmod=verify-full"),
        ("DATABASE_URL", "postgresql://db.example/authapp?connection_factory=mine"),
        ("DATABASE_URL", "postgresql://db.example/authapp?options=-cx%3Dy&options=-cx%3Dz"),
        ("DATABASE_URL", "postgresql:///authapp?host=db.example&port=many"),
        ("DATABASE_URL", "postgresql://db.example/authapp?target_session_attrs=any"),
        ("DATABASE_URL", "postgresql://db.example/authapp?target_session_attrs=prefer-standby"),
        ("AUTHAPP_JWT_KEYS", "a secret"),
        ("AUTHAPP_JWT_KEYS", '{"keys": []}'),
        ("AUTHAPP_JWT_KEYS", jwks({"kty": "oct", "k": HMAC_SECRET})),
        ("AUTHAPP_JWT_KEYS", jwks({"kty": "EC", "crv": ["P-256"]})),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(env: Set, name: str, value: str) -> None:
    env(**{name: value})
    found = problems()

    assert found[0].startswith(f"{name} ")
    assert [problem for problem in found if not problem.startswith(name)] == []


def test_a_variable_that_is_read_twice_is_one_problem(env: Set) -> None:
    env(AUTHAPP_ENV="test", PORT="http")

    assert [problem.split()[0] for problem in problems()] == ["AUTHAPP_ENV", "PORT"]


def test_every_problem_is_reported_at_once(env: Set) -> None:
    env(
        DATABASE_URL="mysql://authapp@db.example/authapp",
        AUTHAPP_JWT_KEYS=jwks({"kty": "oct", "k": "AAAA"}, {"kty": "EC"}),
        AUTHAPP_ISSUER=None,
        AUTHAPP_LEEWAY="x",
        AUTHAPP_REGISTRATION="x",
    )

    names = [problem.split()[0] for problem in problems()]

    keys = "AUTHAPP_JWT_KEYS"
    assert sorted(names) == sorted(
        ["DATABASE_URL", keys, keys, "AUTHAPP_ISSUER", "AUTHAPP_LEEWAY", "AUTHAPP_REGISTRATION"]
    )


def test_the_lifetimes_contain_one_another(env: Set) -> None:
    env(AUTHAPP_ACCESS_TOKEN_TTL="600", AUTHAPP_REFRESH_TOKEN_TTL="300", AUTHAPP_SESSION_TTL="200")

    found = problems()

    assert len(found) == 2
    assert "ACCESS_TOKEN_TTL must not be more than AUTHAPP_REFRESH_TOKEN_TTL" in found[0]
    assert "REFRESH_TOKEN_TTL must not be more than AUTHAPP_SESSION_TTL" in found[1]


def test_lifetimes_may_be_equal(env: Set) -> None:
    env(AUTHAPP_ACCESS_TOKEN_TTL="600", AUTHAPP_REFRESH_TOKEN_TTL="600", AUTHAPP_SESSION_TTL="600")

    assert load_settings().session_ttl == 600


def test_a_database_that_cannot_be_used_is_named_by_the_variable_that_it_is_in(env: Set) -> None:
    env(AUTHAPP_DATABASE_URL="mysql://db.example/other")

    assert [problem.split()[0] for problem in problems()] == ["AUTHAPP_DATABASE_URL"]


def test_the_longer_name_of_the_database_wins(env: Set) -> None:
    env(AUTHAPP_DATABASE_URL="postgresql://db.example/other")

    assert load_settings().database_url == "postgresql+psycopg2://db.example/other"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_every_name_of_postgresql_is_taken(scheme: str) -> None:
    rest = "://user:p%40ss%2Fw@db.example:5433/name?sslmode=require"

    assert normalised_database_url(scheme + rest) == "postgresql+psycopg2" + rest


@pytest.mark.parametrize(
    "url", ["mysql://h/d", "sqlite://", "postgresql+psycopg://h/d", "http://h", "h", "", "postgresql:"]
)
def test_no_other_database_is_taken(url: str) -> None:
    with pytest.raises(ValueError, match="address"):
        normalised_database_url(url)


def test_production_makes_no_keys(env: Set, tmp_path: Path) -> None:
    env(AUTHAPP_JWT_KEYS=None)

    assert "AUTHAPP_JWT_KEYS is missing" in the_problem()
    assert list(tmp_path.iterdir()) == []


def test_settings_are_frozen() -> None:
    settings = Settings(database_url="", jwt_keys="")

    with pytest.raises(FrozenInstanceError):
        settings.leeway = 60  # type: ignore[misc]


def test_settings_are_given_by_name() -> None:
    positional: Any = Settings
    with pytest.raises(TypeError):
        positional("postgresql://", KEYS)


def test_every_setting_says_what_it_is() -> None:
    body = ast.parse(inspect.getsource(Settings)).body[0].body  # type: ignore[attr-defined]
    documented = {
        field.target.id
        for field, below in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
        and below.value.value.endswith(".")
    }

    assert documented == {field.name for field in fields(Settings)}


def test_every_setting_can_be_set(env: Set) -> None:
    others = {
        "ACCESS_TOKEN_TTL": 60,
        "REFRESH_TOKEN_TTL": 120,
        "SESSION_TTL": 180,
        "REFRESH_GRACE": 1,
        "REFRESH_RETRY": 100,
        "SESSIONS_PER_ACCOUNT": 7,
        "LEEWAY": 2,
        "REGISTRATION": "closed",
        "TRUSTED_PROXIES": 3,
        "ARGON2_MEMORY_KIB": 20_000,
        "ARGON2_TIME_COST": 4,
        "HASHING_CONCURRENCY": 3,
        "HASHING_QUEUE_SECONDS": 0.5,
        "LOGIN_FAILURES_PER_ACCOUNT": 5,
        "LOGIN_FAILURES_MAX": 50,
        "LOGIN_FLOOR_MS": 700,
        "RATE_LIMIT_STORAGE": "redis://:secret@cache.example:6379/0",
        "DATABASE_POOL_SIZE": 5,
        "DATABASE_TIMEOUT": 0.5,
        "END_ORPHANED_BACKENDS": "off",
        "LOG_LEVEL": "ERROR",
        "LOG_HEALTH_PROBES": "off",
        "METRICS": "on",
        "METRICS_BIND": "[::1]:9100",
        "STEP_UP_MAX_AGE": 60,
        "MAIL_TIMEOUT": 5,
        "MAIL_SENDER": "off",
        "MAIL_NEW_LOGIN": "on",
        "EMAIL_VERIFICATION": "off",
        "UNVERIFIED_ACCOUNT_DAYS": 7,
        "LOGIN_LINKS": "on",
        "LINK_URL": "https://app.example.com/{purpose}#token={token}",
        "BREACHED_PASSWORDS": "https://range.example.com/",
        "REFRESH_COOKIE": "on",
        "CONSOLE": "on",
        "ENCRYPTION_KEYS": ENCRYPTION_KEYS,
    }
    rates = {f"RATE_LIMIT_{name}": f"{number} per 30 seconds" for number, name in enumerate(RATES, start=7)}
    env(**{f"AUTHAPP_{name}": str(value) for name, value in {**others, **rates}.items()})
    settings = load_settings()

    assert {name: getattr(settings, name.lower()) for name in others} == others
    for number, name in enumerate(RATES, start=7):
        assert rate_limit(settings, name) == RateLimit(number, 30)
    always = {"env", "database_url", "jwt_keys", "issuer", "audience", "rate_limits", "rate_limit_default"}
    always |= {"origins", "rp_id", "rp_name"}  # tests/test_passkey_settings.py
    always |= {"cors_origins"}  # tests/test_browser_settings.py
    always |= {"providers", "redirect_uris"}  # tests/test_provider_settings.py
    always |= {"second_factor_required_roles"}  # tests/api/test_required_factors.py
    always |= {"mail_url", "mail_from", "mail_rate_limit", "mail_templates"}  # tests/test_mail_settings.py
    assert {field.name for field in fields(Settings)} == always | {name.lower() for name in others}
    assert {name.upper() for name in settings.rate_limits} == {*RATES} - {"DEFAULT"}


def test_a_worker_hashes_on_its_share_of_the_cores(env: Set, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    for workers, share in {"2": 4, "4": 2, "16": 1, "": 4, " 4 ": 2}.items():
        env(WEB_CONCURRENCY=workers)
        assert load_settings().hashing_concurrency == share


def test_an_application_is_not_made_with_keys_that_cannot_be_used() -> None:
    with pytest.raises(SettingsError, match="AUTHAPP_JWT_KEYS"):
        create_app(Settings(database_url="postgresql+psycopg2://h/d", jwt_keys='{"keys": []}'))


def test_keys_are_judged_as_the_ring_judges_them(env: Set) -> None:
    retired, current = Key.generate("HS256"), Key.generate("RS256")
    env(AUTHAPP_JWT_KEYS=KeyRing([current, retired]).to_json())

    assert KeyRing.from_json(load_settings().jwt_keys).signing.kid == current.kid


def test_a_setting_that_is_not_utf_8_is_named(env: Set) -> None:
    env(AUTHAPP_AUDIENCE="\udcff")

    assert "AUTHAPP_AUDIENCE" in the_problem()


def test_a_value_of_several_lines_in_any_script_is_text(env: Set) -> None:
    env(AUTHAPP_AUDIENCE="caf\u00e9\ntea")

    assert load_settings().audience == "caf\u00e9\ntea"


@pytest.mark.parametrize("space", ["", " ", "\t\n"])
def test_an_empty_variable_counts_as_unset_whoever_reads_it(env: Set, space: str) -> None:
    names = [f"AUTHAPP_{field.name.upper()}" for field in fields(Settings) if field.name != "rate_limits"]
    env(**dict.fromkeys({*names, *SERVER} - {*REQUIRED}, space))
    changed = load_settings()

    env()
    assert changed == load_settings()


def test_spaces_around_a_value_are_ignored(env: Set) -> None:
    env(
        AUTHAPP_LOG_LEVEL=" ERROR ",
        AUTHAPP_REGISTRATION="closed\n",
        AUTHAPP_LEEWAY=" 7",
        AUTHAPP_DATABASE_TIMEOUT=" 2 ",
    )

    settings = load_settings()

    assert (settings.log_level, settings.registration, settings.leeway) == ("ERROR", "closed", 7)
    assert settings.database_timeout == 2
