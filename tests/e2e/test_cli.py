"""The ``flask`` commands as an operator runs them, beside a running server."""

import json
import subprocess

from authapp.security.keys import KeyRing
from e2e.processes import Server, flask
from factories import PASSWORD

Completed = subprocess.CompletedProcess[str]


def create(variables: dict[str, str], name: str) -> Completed:
    return flask(variables, "users", "create", name, f"{name}@example.com", "--password-stdin", stdin=PASSWORD + "\n")


def log_in(server: Server, name: str) -> tuple[int, dict[str, str]]:
    answer = server.call("POST", "/api/v1/auth/login", json={"username": name, "password": PASSWORD})
    return answer.status_code, answer.json()


def answers(server: Server, token: str) -> set[tuple[int, str | None]]:
    """Return what twenty fresh connections, and so either worker, get."""
    answers = [server.call("GET", "/api/v1/users/me", token) for _ in range(20)]
    return {(answer.status_code, answer.json().get("code")) for answer in answers}


def refused_in_one_line(completed: Completed, words: str) -> None:
    assert (completed.returncode, completed.stdout) == (1, "")
    assert completed.stderr.startswith("Error: ")
    assert completed.stderr.count("\n") == 1
    assert words in completed.stderr


def test_a_user_who_is_created_here_logs_in_there(server: Server, variables: dict[str, str]) -> None:
    created = create(variables, "grace")

    assert (created.returncode, created.stderr) == (0, "")
    assert created.stdout.startswith("Created grace <grace@example.com>")
    assert log_in(server, "grace")[0] == 200
    refused_in_one_line(create(variables, "GRACE"), "is taken.")


def test_a_user_who_is_disabled_here_is_out_at_once_there(server: Server, variables: dict[str, str]) -> None:
    account = {"username": "mallory", "email": "mallory@example.com", "password": PASSWORD}
    assert server.call("POST", "/api/v1/auth/register", json=account).status_code == 201
    token = log_in(server, "mallory")[1]["access_token"]
    assert answers(server, token) == {(200, None)}

    assert flask(variables, "users", "disable", "mallory").returncode == 0

    assert answers(server, token) == {(401, "token_revoked")}
    status, answer = log_in(server, "mallory")
    assert (status, answer["code"]) == (401, "invalid_credentials")


def test_keys_are_made_without_any_settings_and_are_good_ones(variables: dict[str, str]) -> None:
    made = flask({}, "keys", "generate", "--alg", "EdDSA")

    assert (made.returncode, made.stderr) == (0, "")
    assert KeyRing.from_json(made.stdout).signing.alg == "EdDSA"
    listed = flask({**variables, "AUTHAPP_JWT_KEYS": made.stdout}, "users", "list", "--json")
    assert listed.returncode == 0
    assert isinstance(json.loads(listed.stdout), list)


def test_a_command_that_needs_settings_says_which() -> None:
    failed = flask({}, "users", "list")

    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.startswith("authapp cannot start: 4 problem(s)")
    assert "Traceback" not in failed.stderr
