"""A server with settings that cannot be used: it says so once, readably, and does not start."""

import json
import subprocess
import sys

import pytest

from e2e.processes import ROOT, environment

DATABASE_URL = "postgresql://authapp:db-Passw0rd@db.example/authapp"
REQUIRED = ["DATABASE_URL", "AUTHAPP_JWT_KEYS", "AUTHAPP_ISSUER", "AUTHAPP_AUDIENCE"]
HMAC_SECRET = "bXktdmVyeS1vd24tc2hvcnQta2V5"


def refused(without: list[str] | None = None, **changes: str) -> list[str]:
    """Return the problems that the one message names, after checking that the server did not start."""
    variables = environment("", DATABASE_URL=DATABASE_URL, WEB_CONCURRENCY="3", **changes)
    for name in without or []:
        del variables[name]
    started = subprocess.run(
        [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0", "wsgi:app"],
        cwd=ROOT,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    output = started.stdout
    assert started.returncode not in (0, None), output
    assert "Traceback" not in output
    assert "Listening at" not in output
    assert output.count("authapp cannot start") == 1, output
    secrets = ["db-Passw0rd", HMAC_SECRET, *json.loads(environment("")["AUTHAPP_JWT_KEYS"])["keys"][0].values()]
    assert [secret for secret in secrets if len(secret) > 8 and secret in output] == []
    return [line.removeprefix("  - ") for line in output.splitlines() if line.startswith("  - ")]


def test_everything_that_is_missing_is_named_once() -> None:
    assert [problem.split(" is missing.")[0] for problem in refused(REQUIRED)] == REQUIRED


@pytest.mark.parametrize("name", REQUIRED)
def test_a_required_setting_that_is_missing_is_named(name: str) -> None:
    problems = refused([name])

    assert len(problems) == 1
    assert problems[0].startswith(f"{name} is missing.")


def test_everything_that_is_wrong_is_named_and_no_secret_is_shown() -> None:
    problems = refused(
        AUTHAPP_DATABASE_URL="mysql://authapp:db-Passw0rd@db.example/authapp",
        AUTHAPP_JWT_KEYS=json.dumps({"keys": [{"kty": "oct", "k": HMAC_SECRET}, HMAC_SECRET]}),
        AUTHAPP_ISSUER="auth.example.com",
        AUTHAPP_LEEWAY="soon",
        AUTHAPP_ARGON2_TIME_COST="1",
    )

    keys = "AUTHAPP_JWT_KEYS"
    named = [problem.split()[0] for problem in problems]
    assert named == ["DATABASE_URL", keys, keys, "AUTHAPP_ISSUER", "AUTHAPP_LEEWAY", "AUTHAPP_ARGON2_TIME_COST"]


def test_a_password_that_was_not_escaped_is_not_shown() -> None:
    problems = refused(AUTHAPP_DATABASE_URL="postgresql://authapp:not@escaped:db-Passw0rd@db.example/authapp")

    assert [problem.split()[0] for problem in problems] == ["DATABASE_URL"]


def test_a_log_level_that_does_not_exist_is_named_like_any_other_setting() -> None:
    assert [problem.split()[0] for problem in refused(AUTHAPP_LOG_LEVEL="LOUD")] == ["AUTHAPP_LOG_LEVEL"]
