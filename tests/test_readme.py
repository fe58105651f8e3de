"""The examples of the README, run as they stand."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import requests

from databases import Databases
from doc_pages import ROOT, TEXTS, block_after
from e2e.processes import Server, environment, flask, serving
from factories import PASSWORD

ROLE_COMMANDS = ["flask roles create editor --permission notes:read", "flask users grant ada editor"]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, with each code block of the README as the file that it names."""
    copy: Path = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("gunicorn.conf.py", ".flaskenv", "pyproject.toml"):
        shutil.copy(ROOT / name, copy)
    for name in ("notes.py", "tags.py", "wsgi.py"):
        (block,) = block_after(TEXTS["README.md"], f"example: {name}")
        (copy / name).write_text(block)
    return copy


@pytest.fixture(scope="module")
def variables(databases: Databases, checkout: Path) -> Iterator[dict[str, str]]:
    with databases.migrated() as url:
        yield environment(url, PYTHONPATH=str(checkout / "src"))


@pytest.fixture(scope="module")
def extended(checkout: Path, variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of that copy."""
    with serving(tmp_path_factory.mktemp("server"), variables, root=checkout) as server:
        yield server


def log_in(server: Server, variables: dict[str, str], checkout: Path, name: str) -> str:
    """Create an account, and return an access token of it."""
    created = flask(
        variables,
        *("users", "create", name, f"{name}@example.com", "--password-stdin"),
        stdin=PASSWORD,
        root=checkout,
    )
    assert created.returncode == 0, created.stderr
    answer = server.call("POST", "/api/v1/auth/login", json={"username": name, "password": PASSWORD})
    token: str = answer.json()["access_token"]
    return token


def code_of(response: requests.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def test_the_readmes_blueprints_are_locked_but_for_the_public_view(
    extended: Server, variables: dict[str, str], checkout: Path
) -> None:
    token = log_in(extended, variables, checkout, "ada")
    get = partial(extended.call, "GET")

    assert code_of(get("/api/v1/notes")) == (401, "token_missing")
    assert code_of(get("/api/v1/tags")) == (401, "token_missing")
    assert get("/api/v1/notes", token).json() == {"owner": "ada", "notes": []}
    assert get("/api/v1/tags", token).json() == {"owner": "ada", "tags": []}
    assert get("/api/v1/notes/about").json() == {"about": "Notes, one pile for each user."}

    assert extended.call("POST", "/api/v1/auth/logout", token).status_code == 204
    assert code_of(get("/api/v1/notes", token)) == (401, "token_revoked")
    assert code_of(get("/api/v1/tags", token)) == (401, "token_revoked")


def test_the_readmes_permission_and_its_one_decorator_open_a_view_to_those_who_hold_it(
    extended: Server, variables: dict[str, str], checkout: Path
) -> None:
    token = log_in(extended, variables, checkout, "grace")
    view = partial(extended.call, "GET", "/api/v1/notes/all")
    text = " ".join(TEXTS["README.md"].split())
    commands = [command for command in ROLE_COMMANDS if f"`{command}`" in text]
    assert commands == ROLE_COMMANDS

    assert code_of(view()) == (401, "token_missing")
    assert code_of(view(token)) == (403, "permission_denied")
    for command in commands:
        ran = flask(variables, *command.replace("ada", "grace").split()[1:], root=checkout)
        assert ran.returncode == 0, ran.stderr
    assert view(token).json() == {"notes": []}
    assert flask(variables, "users", "revoke", "grace", "editor", root=checkout).returncode == 0
    assert code_of(view(token)) == (403, "permission_denied")
    assert flask(variables, "users", "grant", "grace", "admin", root=checkout).returncode == 0
    assert view(token).json() == {"notes": []}


def test_the_readmes_documented_blueprint_appears_in_the_openapi_document(extended: Server) -> None:
    paths = extended.call("GET", "/openapi.json").json()["paths"]
    operation = paths["/api/v1/tags"]["get"]
    assert operation["operationId"] == "listOwnTags"
    assert operation["security"] == [{"apiKey": []}, {"accessToken": []}]
    assert {"200", "401", "503"} <= operation["responses"].keys()
    assert "/api/v1/notes" not in paths


def test_the_readmes_examples_keep_to_the_rules_of_the_linter(checkout: Path) -> None:
    for command in ("check", "format --check"):
        linted = subprocess.run(
            [sys.executable, "-m", "ruff", *command.split(), "--no-cache", "notes.py", "tags.py", "wsgi.py"],
            cwd=checkout,
            capture_output=True,
            text=True,
        )
        assert linted.returncode == 0, linted.stdout


@pytest.mark.skipif(not shutil.which("curl"), reason="the tour needs curl")
def test_the_readmes_tour_prints_what_the_readme_says(databases: Databases, tmp_path: Path) -> None:
    (tour,), (promised,) = (block_after(TEXTS["README.md"], mark) for mark in ("tour", "tour prints"))
    with databases.migrated() as url, serving(tmp_path, environment(url)) as server:
        script = tour.replace("http://127.0.0.1:8000", server.url)
        result = subprocess.run(["bash", "-eu"], input=script, capture_output=True, text=True, timeout=60)
    assert result.stderr == ""
    assert without_chance(result.stdout) == without_chance(promised)


def without_chance(text: str) -> str:
    """Return ``text`` without what differs from run to run: ids, times and the number in the name."""
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text)
    return re.sub(r"\bada\d+", "NAME", text)
