"""A server with settings that cannot be used: it says so once, readably, and does not start."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from e2e.processes import ROOT, Server, environment

DATABASE_URL = "postgresql://authapp:db-Passw0rd@db.example/authapp"
REQUIRED = ["DATABASE_URL", "AUTHAPP_JWT_KEYS", "AUTHAPP_ISSUER", "AUTHAPP_AUDIENCE"]
HMAC_SECRET = "bXktdmVyeS1vd24tc2hvcnQta2V5"


GUNICORN = [sys.executable, "-m", "gunicorn"]
FLASK_SERVE = [sys.executable, "-m", "flask", "serve"]


def refused(without: list[str] | None = None, command: Sequence[str] = GUNICORN, **changes: str) -> list[str]:
    """Return the problems that the one message names, after checking that the server did not start."""
    variables = environment("", DATABASE_URL=DATABASE_URL, **({"WEB_CONCURRENCY": "3"} | changes))
    for name in without or []:
        del variables[name]
    started = subprocess.run(
        [*command, "--bind", "127.0.0.1:0", "wsgi:app"],
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
    assert named == ["AUTHAPP_DATABASE_URL", keys, keys, "AUTHAPP_ISSUER", "AUTHAPP_LEEWAY", "AUTHAPP_ARGON2_TIME_COST"]


def test_a_password_that_was_not_escaped_is_not_shown() -> None:
    problems = refused(AUTHAPP_DATABASE_URL="postgresql://authapp:not@escaped:db-Passw0rd@db.example/authapp")

    assert [problem.split()[0] for problem in problems] == ["AUTHAPP_DATABASE_URL"]


def test_a_log_level_that_does_not_exist_is_named_like_any_other_setting() -> None:
    assert [problem.split()[0] for problem in refused(AUTHAPP_LOG_LEVEL="LOUD")] == ["AUTHAPP_LOG_LEVEL"]


@pytest.mark.parametrize("command", [GUNICORN, FLASK_SERVE], ids=["gunicorn", "flask serve"])
def test_a_name_that_is_no_setting_stops_the_start(command: list[str]) -> None:
    problems = refused(command=command, AUTHAPP_REGISTRATON="closed", PORT="http")

    assert problems == [
        "PORT must be a whole number from 1 to 65535.",
        "AUTHAPP_REGISTRATON is not a setting. Do you mean AUTHAPP_REGISTRATION?",
    ]


def test_flask_serve_names_what_gunicorn_ends_with_a_traceback_for() -> None:
    problems = refused(command=FLASK_SERVE, WEB_CONCURRENCY="many", GUNICORN_CMD_ARGS="'")

    assert [problem.split()[0] for problem in problems] == ["WEB_CONCURRENCY", "GUNICORN_CMD_ARGS"]


def test_flask_serve_becomes_gunicorn_and_takes_empty_for_unset(variables: dict[str, str], tmp_path: Path) -> None:
    server = Server(tmp_path, variables | {"WEB_CONCURRENCY": "", "PORT": ""}, command=FLASK_SERVE)
    try:
        server.wait_until()
        assert len(psutil.Process(server.process.pid).children()) == 2
    finally:
        server.stop()
    assert server.process.returncode == 0
