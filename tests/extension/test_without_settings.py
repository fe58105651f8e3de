"""Before anything is set: what needs no settings works, and the rest ends with the one message."""

import subprocess
from pathlib import Path

import pytest

from e2e.processes import ROOT
from extension.projects import EXTENSION, WSGI, Project, without_settings

MISSING = ["DATABASE_URL", "AUTHAPP_JWT_KEYS", "AUTHAPP_ISSUER", "AUTHAPP_AUDIENCE"]
CHECKOUT = (ROOT / "wsgi.py").read_text()


@pytest.fixture(params=[CHECKOUT, WSGI, EXTENSION], ids=["the checkout's wsgi.py", "create_app", "AuthApp"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    return Project(tmp_path, request.param, without_settings())


def problems_of(result: "subprocess.CompletedProcess[str]") -> list[str]:
    """Return the settings that the message names, after checking that it is all there is to read."""
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert result.stderr.count("authapp cannot start") == 1
    lines = [line.removeprefix("  - ") for line in result.stderr.splitlines() if line.startswith("  - ")]
    return [line.split(" is missing.")[0] for line in lines]


def test_keys_can_be_made_and_listed(project: Project) -> None:
    project.succeed("keys", "generate", "--out", "keys.json")

    assert "signs" in project.succeed("keys", "list", "--file", "keys.json")


def test_the_doctor_names_every_problem(project: Project) -> None:
    result = project.flask("doctor")

    assert result.returncode == 1
    assert [line.split()[2] for line in result.stdout.splitlines() if line.startswith("fail")] == MISSING
    assert "Traceback" not in result.stderr


def test_the_help_lists_every_command(project: Project) -> None:
    printed = project.flask("--help")

    assert printed.returncode == 0
    assert printed.stderr == ""
    for name in ("users", "roles", "tokens", "keys", "audit", "doctor", "db", "run"):
        assert f"\n  {name} " in printed.stdout


@pytest.mark.parametrize("command", ["users list", "db upgrade", "run"])
def test_a_command_that_needs_settings_ends_with_the_one_message(project: Project, command: str) -> None:
    assert problems_of(project.flask(*command.split())) == MISSING


@pytest.mark.parametrize("command", ["roles list", "tokens prune", "db init", "db migrate -m x", "routes", "shell"])
def test_so_does_every_other(tmp_path: Path, command: str) -> None:
    project = Project(tmp_path, WSGI, without_settings())

    assert problems_of(project.flask(*command.split())) == MISSING


def test_a_command_of_the_project_ends_with_the_one_message_too(tmp_path: Path) -> None:
    project = Project(tmp_path, EXTENSION, without_settings())

    assert problems_of(project.flask("hello", "--times", "3")) == MISSING


def test_a_setting_that_is_wrong_is_named_beside_those_that_are_missing(tmp_path: Path) -> None:
    project = Project(tmp_path, WSGI, without_settings() | {"AUTHAPP_LEEWAY": "soon"})

    problems = problems_of(project.flask("run"))

    assert set(MISSING) < set(problems)
    assert [problem.split()[0] for problem in problems if problem not in MISSING] == ["AUTHAPP_LEEWAY"]
