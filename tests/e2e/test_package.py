"""The package: built, installed into a fresh virtual environment, and used by a project of another name.

The project is ``notes_project``, beside this file.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from databases import Databases
from e2e.processes import ROOT, Server, environment

PROJECT = Path(__file__).parent / "notes_project"
SOURCES = ["src", "migrations", "setup.cfg", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"]
TEST_TOOLS = {"pytest", "iniconfig", "pluggy", "pygments"}
PASSWORD = "correct horse battery staple"
BUILD = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"
# With authapp.serving.settings: ["--config", "python:authapp.serving.settings"].
GUNICORN = ["--config", "python:authapp.serving.settings"]


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run a command that must succeed, and return what it printed."""
    result = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def without_checkout() -> dict[str, str]:
    """Return the environment without what would lead back to the checkout."""
    return {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}


def build(kind: str, source: Path, folder: Path) -> Path:
    """Build the ``wheel`` or the ``sdist`` of a source tree, as pip does."""
    run(sys.executable, "-c", BUILD, f"build_{kind}", folder, cwd=source, env=without_checkout())
    (built,) = folder.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return built


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout without what was made in it, such as ``build/``, which would end up in the wheel."""
    folder = tmp_path_factory.mktemp("source")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="module")
def sdist(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", source, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", source, tmp_path_factory.mktemp("wheel"))


def names_in(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_carries_every_file_of_the_package_and_no_other(wheel: Path) -> None:
    package = ROOT / "src" / "authapp"
    files = {
        str(path.relative_to(ROOT / "src"))
        for pattern in (
            *("**/*.py", "py.typed", "api/static/*", "api/static/*/*", "api/static/*/*/*", "api/templates/*/*"),
            *("security/data/*", "templates/*/*"),
            *("migrations/*", "migrations/versions/*"),
        )
        for path in package.glob(pattern)
        if path.is_file()
    }
    migrations = {name for name in files if "/migrations/" in name}
    assert {"env.py", "alembic.ini", "script.py.mako"} <= {name.rpartition("/")[2] for name in migrations}

    carried = names_in(wheel)
    assert {name for name in carried if ".dist-info/" not in name} == files
    assert any(name.endswith("/licenses/LICENSE") for name in carried)


def test_the_wheel_that_is_built_from_the_sdist_is_the_same(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.glob("authapp-*")
    (tmp_path / "wheel").mkdir()

    assert names_in(build("wheel", source, tmp_path / "wheel")) == names_in(wheel)


def test_the_sdist_carries_no_tests(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {name.partition("/")[0] for name in names if name} == {
        *("LICENSE", "MANIFEST.in", "PKG-INFO", "README.md", "pyproject.toml", "setup.cfg", "src"),
    }
    assert not any("__pycache__" in name for name in names)


def pinned(names: set[str]) -> str:
    """Return the lines of the requirements of development that pin ``names``, with their hashes."""
    blocks = re.findall(r"^[\w-]+==(?:.*\\\n)+.*\n", (ROOT / "requirements" / "dev.txt").read_text(), re.MULTILINE)
    return "".join(block for block in blocks if block.partition("==")[0] in names)


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh virtual environment with the wheel in it, and pytest."""
    folder = tmp_path_factory.mktemp("environment")
    tools = folder / "tools.txt"
    tools.write_text(pinned(TEST_TOOLS))
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder, env=without_checkout())
    python = folder / "venv" / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for requirements in (ROOT / "requirements" / "base.txt", tools):
        run(*pip, "--require-hashes", "-r", requirements, cwd=folder, env=without_checkout())
    run(*pip, "--no-deps", wheel, cwd=folder, env=without_checkout())
    return python


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("project")
    return Path(shutil.copytree(PROJECT, folder / "notes", ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture(scope="module")
def variables(databases: Databases) -> Iterator[dict[str, str]]:
    with databases.empty() as url:
        ours = environment(url, AUTHAPP_AUDIENCE="notes", FLASK_SECRET_KEY="a secret of the project's")
        yield {name: value for name, value in ours.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}


@pytest.fixture(scope="module")
def migrated(python: Path, project: Path, variables: dict[str, str]) -> Path:
    """The project, after the commands of its README."""
    flask = [python, "-m", "flask", "db"]
    run(*flask, "init", cwd=project, env=variables)
    run(*flask, "migrate", "-m", "notes", cwd=project, env=variables)
    run(*flask, "upgrade", cwd=project, env=variables)
    return project


@pytest.fixture(scope="module")
def server(
    python: Path, migrated: Path, variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    narrow = {"AUTHAPP_RATE_LIMIT_NOTE_WRITING": "3/minute"}
    server = Server(
        tmp_path_factory.mktemp("server"),
        variables | narrow,
        root=migrated,
        command=[str(python), "-m", "gunicorn", *GUNICORN],
    )
    try:
        server.wait_until()
        yield server
    finally:
        server.stop()


def registered(server: Server, name: str) -> str:
    """Register an account, and return an access token of it."""
    account = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
    assert server.call("POST", "/api/v1/auth/register", json=account).status_code == 201
    login = server.call("POST", "/api/v1/auth/login", json={"username": name, "password": PASSWORD})
    token: str = login.json()["access_token"]
    return token


def code_of(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_the_installed_package_is_the_wheel(python: Path, project: Path, variables: dict[str, str]) -> None:
    printed = run(python, "-c", "import authapp; print(authapp.__file__)", cwd=project, env=variables)

    assert Path(printed.strip()).is_relative_to(python.parent.parent)


def test_its_migrations_are_complete(python: Path, migrated: Path, variables: dict[str, str]) -> None:
    assert "No new upgrade operations" in run(python, "-m", "flask", "db", "check", cwd=migrated, env=variables)
    assert len(list((migrated / "migrations" / "versions").glob("*_notes.py"))) == 1


def test_its_table_its_hook_and_its_limit_work(server: Server) -> None:
    token = registered(server, "ada")

    (welcome,) = server.call("GET", "/api/v1/notes", token).json()["items"]
    assert welcome["body"] == "Welcome, ada."
    for _ in range(3):
        assert server.call("POST", "/api/v1/notes", token, json={"body": "Buy milk."}).status_code == 201
    refused = server.call("POST", "/api/v1/notes", token, json={"body": "Buy milk."})
    assert code_of(refused) == (429, "too_many_requests")
    assert refused.headers["RateLimit-Policy"] == '"note_writing";q=3;w=60'
    assert code_of(server.call("GET", "/api/v1/notes")) == (401, "token_missing")


def test_its_permission_can_be_given(server: Server, python: Path, migrated: Path, variables: dict[str, str]) -> None:
    token = registered(server, "grace")
    assert code_of(server.call("GET", "/api/v1/notes/all", token)) == (403, "permission_denied")

    for command in ("roles create editor --permission notes:read", "users grant grace editor"):
        run(python, "-m", "flask", *command.split(), cwd=migrated, env=variables)

    assert server.call("GET", "/api/v1/notes/all", token).status_code == 200


def test_its_audit_event_is_in_the_trail(
    server: Server, python: Path, migrated: Path, variables: dict[str, str]
) -> None:
    token = registered(server, "edsger")
    server.call("POST", "/api/v1/notes", token, json={"body": "Simplicity."})
    run(python, "-m", "flask", "users", "grant", "edsger", "admin", cwd=migrated, env=variables)

    events = server.call("GET", "/api/v1/audit-events?type=note.created", token).json()["items"]

    assert events
    assert {event["type"] for event in events} == {"note.created"}


def test_its_claim_is_in_the_tokens(server: Server, python: Path, migrated: Path, variables: dict[str, str]) -> None:
    token = registered(server, "barbara")

    script = "import json, sys; from wsgi import app; from authapp import Services;"
    script += " print(json.dumps(Services.of(app).tokens.read(sys.argv[1])['notes:has_notes']))"
    assert run(python, "-c", script, token, cwd=migrated, env=variables).strip() == "true"


def test_its_page_and_its_stylesheet_are_open(server: Server) -> None:
    page = server.call("GET", "/")

    assert "Visits: 1" in page.text
    assert "session=" in page.headers["Set-Cookie"]
    stylesheet = re.search(r'href="(/static/[^"]+)"', page.text)
    assert stylesheet
    assert server.call("GET", stylesheet[1]).text.startswith("h1")


def test_its_routes_are_in_the_openapi_document(server: Server) -> None:
    paths = server.call("GET", "/openapi.json").json()["paths"]

    assert paths["/api/v1/notes"]["get"]["operationId"] == "listOwnNotes"
    assert "403" in paths["/api/v1/notes/all"]["get"]["responses"]
    assert "429" in paths["/api/v1/notes"]["post"]["responses"]


def test_its_own_tests_pass(python: Path, migrated: Path, variables: dict[str, str]) -> None:
    tested = variables | {"TEST_DATABASE_URL": variables["AUTHAPP_DATABASE_URL"]}

    printed = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=migrated, env=tested)

    assert re.search(r"\b9 passed", printed)
