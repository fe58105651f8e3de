"""The documentation, held against the code: what it names exists, and what exists is named."""

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import click
import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

from authapp.api.errors import documentation, status_of
from authapp.cli import COMMANDS
from authapp.config import RateLimit, Settings, SettingsError, rate_limits
from authapp.domain import email, mail
from authapp.errors import catalogue
from authapp.extension import load_settings
from databases import Databases
from e2e.processes import Server, environment, flask, serving
from factories import PASSWORD

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")])
TEXTS = {str(page.relative_to(ROOT)): page.read_text() for page in PAGES}
RECORDS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
VARIABLES: dict[str, Any] = {
    **{f"AUTHAPP_{field.name.upper()}": field for field in dataclasses.fields(Settings) if field.name != "rate_limits"},
    **{
        f"AUTHAPP_RATE_LIMIT_{name.upper()}": SimpleNamespace(default=limit, type=None)
        for name, limit in rate_limits.items()
    },
}

every_page = pytest.mark.parametrize("page", TEXTS)


def code_in(text: str) -> str:
    """Return what stands in code blocks and in code spans, a piece a line."""
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`((?:[^`\n]|\n(?!\n))+)`", without_blocks(text))
    return "\n".join([*blocks, *(" ".join(span.split()) for span in spans)])


def without_blocks(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)


def block_after(text: str, mark: str) -> list[str]:
    """Return each code block that stands behind the comment ``mark``."""
    return re.findall(rf"<!-- {re.escape(mark)} -->\n```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of each row of each table."""
    for line in text.splitlines():
        if line.startswith("| "):
            yield [cell.strip() for cell in line.strip("| ").split(" | ")]


# --- errors ----------------------------------------------------------------------------------------------------------


def documented_errors() -> dict[str, tuple[str, str, str]]:
    """Return status, title and explanation of each code in docs/errors.md."""
    sections = TEXTS["docs/errors.md"].split("\n## ")[1:]
    errors = {}
    for section in sections:
        heading, head, *paragraphs = section.strip().split("\n\n")
        code = re.fullmatch(r"`(\w+)`", heading)
        line = re.fullmatch(r"(\d{3}) · \*\*(.+)\*\*", head)
        assert code, heading
        assert line, head
        assert code[1] not in errors, f"{code[1]} is there twice"
        explanation = "\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
        errors[code[1]] = (line[1], line[2], explanation)
    return errors


def test_every_error_code_is_documented_as_the_code_has_it() -> None:
    assert documented_errors() == {
        code: (str(status_of(refusal)), refusal.title, documentation(refusal)) for code, refusal in catalogue().items()
    }


def test_the_table_of_statuses_lists_every_code_under_its_own() -> None:
    listed = {
        (code, int(status))
        for status, codes in (row for row in rows(TEXTS["docs/errors.md"]) if row[0].isdecimal())
        for code in re.findall(r"`(\w+)`", codes)
    }
    assert listed == {(code, status_of(refusal)) for code, refusal in catalogue().items()}


def test_the_openapi_document_shows_only_documented_errors(client: FlaskClient) -> None:
    shown = [
        (name, example["value"]["code"], example["value"]["status"], int(status))
        for operations in client.get("/openapi.json").get_json()["paths"].values()
        for operation in operations.values()
        if isinstance(operation, dict)
        for status, response in operation["responses"].items()
        for name, example in response.get("content", {}).get("application/problem+json", {}).get("examples", {}).items()
    ]
    documented = documented_errors()
    assert shown
    for name, code, example_status, status in shown:
        assert name == code
        assert example_status == status == int(documented[code][0])


def test_every_status_and_code_that_the_api_page_pairs_belong_together() -> None:
    pairs = re.findall(r"\b(\d{3}) `([a-z]+_[a-z_]+)`", "\n".join(TEXTS.values()))
    assert pairs
    assert {(int(status), code) for status, code in pairs} <= {
        (status_of(refusal), code) for code, refusal in catalogue().items()
    }


# --- the API ---------------------------------------------------------------------------------------------------------


def test_the_api_page_describes_every_route_and_no_other(app: Flask) -> None:
    described = set(re.findall(r"^### `(\w+) (\S+)`$", TEXTS["docs/api.md"], re.MULTILINE))
    existing = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert described == existing - {("GET", "/docs/{name}"), ("GET", "/account/assets/{name}")}


ANYWHERE = {
    *("token_missing", "token_invalid", "token_expired", "token_revoked", "permission_denied", "service_unavailable"),
    *("malformed_request", "payload_too_large", "unsupported_media_type", "validation_failed"),
}
"""What guards, bodies and outages answer: said once, in the page's conventions."""


def test_the_api_page_names_every_refusal_of_a_route_where_it_describes_it(client: FlaskClient) -> None:
    sections = dict(
        re.findall(r"^### `(\w+ \S+)`$(.*?)(?=^##)", TEXTS["docs/api.md"] + "\n##", re.MULTILINE | re.DOTALL)
    )
    paths = client.get("/openapi.json").get_json()["paths"]
    missing = {
        f"{method.upper()} {path}": unnamed
        for path, item in paths.items()
        for method, operation in item.items()
        if method != "parameters"
        if (
            unnamed := {code for code in codes_of(operation) if f"`{code}`" not in sections[f"{method.upper()} {path}"]}
        )
    }
    assert missing == {}


def codes_of(operation: dict[str, Any]) -> set[str]:
    answers = [
        response.get("content", {}).get("application/problem+json", {}) for response in operation["responses"].values()
    ]
    return {code for answer in answers for code in answer.get("examples", {})} - ANYWHERE


# --- settings --------------------------------------------------------------------------------------------------------


def documented_settings() -> dict[str, list[str]]:
    """Return meaning, default and range of each variable in docs/configuration.md."""
    text = TEXTS["docs/configuration.md"]
    return {row[0].strip("`"): row[1:] for row in rows(text) if row[0].startswith("`AUTHAPP_")}


def test_every_setting_is_documented_and_no_other() -> None:
    assert documented_settings().keys() == VARIABLES.keys()


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_settings_documented_default_is_its_default(variable: str) -> None:
    _, default, _ = documented_settings()[variable]
    field = VARIABLES[variable]
    if field.default is dataclasses.MISSING:
        assert default.startswith("required; development: ")
    elif field.default == "":
        assert default == "empty"
    elif field.default is None:
        assert default.startswith("none")
    else:
        value = re.match(r"`([^`]+)`", default)
        assert value, default
        assert value[1] == written(field.default)


def written(default: object) -> str:
    """Return a default as it is written into the environment."""
    if isinstance(default, RateLimit):
        return f"{default.amount}/{ {60: 'minute', 3600: 'hour'}[default.seconds] }"
    return str(default)


@pytest.mark.parametrize("variable", ["ENV", "REGISTRATION", "LOG_LEVEL", "LOG_HEALTH_PROBES", "END_ORPHANED_BACKENDS"])
def test_a_settings_documented_words_are_those_that_are_accepted(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, words = documented_settings()[f"AUTHAPP_{variable}"]
    expected = words.replace("`", "")
    assert f"AUTHAPP_{variable} must be one of: {expected}." in problems_with(
        monkeypatch, f"AUTHAPP_{variable}", "neither"
    )


@pytest.mark.parametrize("variable", [name for name, field in VARIABLES.items() if field.type in (int, float)])
@pytest.mark.parametrize("value", ["-1", "99999999999"])
def test_a_settings_documented_range_is_its_range(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, bounds = documented_settings()[variable]
    accepted = bounds.partition(";")[0]
    assert f"{variable} must be from {accepted}." in problems_with(monkeypatch, variable, value)


def problems_with(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> tuple[str, ...]:
    """Return what the start says in production when ``variable`` is all that is set."""
    clear_settings(monkeypatch)
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as error:
        load_settings()
    return error.value.problems


def clear_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("AUTHAPP_", "DATABASE_URL")):
            monkeypatch.delenv(name)


def test_the_required_settings_are_those_that_the_readme_names(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = [problem.split()[0] for problem in problems_with(monkeypatch, "AUTHAPP_LEEWAY", "5")]
    assert ", ".join(f"`{name}`" for name in missing[:-1]) + f" and `{missing[-1]}` are required" in " ".join(
        TEXTS["README.md"].split()
    )


# --- names -----------------------------------------------------------------------------------------------------------

ELSEWHERE = {
    "AUTHAPP_RATE_LIMIT_NOTE_WRITING": "tests/e2e/test_package.py",
    "FLASK_SECRET_KEY": "tests/e2e/test_package.py",
    "GUNICORN_CMD_ARGS": "tests/e2e/test_access_log.py",
    "DATABASE_URL": "src/authapp/config/environment.py",
    "TEST_DATABASE_URL": "tests/databases.py",
    "WEB_CONCURRENCY": "src/authapp/serving/settings.py",
    "PORT": "tools/serve.py",
    "SSL_CERT_FILE": "tests/domain/test_breached_passwords.py",
    "AUTHAPP_HASHING_QUEUE": "CHANGELOG.md",  # it was one, and is gone
}
"""Names in capitals that are no settings: where each of them is read."""


@every_page
def test_every_variable_that_a_page_names_exists(page: str) -> None:
    named = set(re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", without_blocks(TEXTS[page])))
    named |= set(re.findall(r"\bAUTHAPP_\w+", TEXTS[page]))
    for name in named:
        assert {name, name.removesuffix("_FILE")} & (VARIABLES.keys() | ELSEWHERE.keys()), name


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_variable_that_is_no_setting_is_read_where_the_list_says(name: str) -> None:
    assert name in (ROOT / ELSEWHERE[name]).read_text()


@every_page
def test_every_command_that_a_page_names_exists_with_its_options(page: str, app: Flask) -> None:
    groups = {entry.name: entry.load() for entry in entry_points(group="flask.commands")} | app.cli.commands
    called = re.findall(r"(?<!from )\bflask ([a-z][a-z-]*)(?: ([a-z][a-z|-]*))?([^\n]*)", code_in(TEXTS[page]))
    for group_name, names, arguments in called:
        group = groups[group_name]
        if not isinstance(group, click.Group):
            assert not names, f"flask {group_name} {names}"
            continue
        for name in filter(None, names.split("|")):
            command = group.commands.get(name)
            assert command is not None, f"flask {group_name} {name}"
            if isinstance(command, click.Group):
                within = list(filter(None, arguments.strip().partition(" ")[0].split("|")))
                assert set(within) <= command.commands.keys(), f"flask {group_name} {name} {arguments}"
                command = command.commands[within[0]] if within else command
            options = {option for parameter in command.params for option in parameter.opts}
            assert set(re.findall(r"--[a-z-]+", arguments)) <= options, f"flask {group_name} {name} {arguments}"


def test_every_command_of_ours_is_in_the_documentation() -> None:
    documented = code_in("\n".join(TEXTS.values()))
    for group in COMMANDS:
        assert f"flask {group.name}" in documented
        for name in getattr(group, "commands", ()):
            assert re.search(rf"flask {group.name} (\S*\|)?{name}\b", documented), f"flask {group.name} {name}"


@every_page
def test_every_make_target_that_a_page_names_exists(page: str) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"\bmake ([a-z]+)", code_in(TEXTS[page]))) <= set(targets)


def test_the_contributing_page_lists_every_make_target() -> None:
    targets = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(targets) <= set(re.findall(r"make ([a-z]+)", code_in(TEXTS["CONTRIBUTING.md"])))


@every_page
def test_every_module_and_folder_of_ours_that_a_page_names_exists(page: str) -> None:
    floors = ("api", "cli", "config", "database", "domain", "models", "security", "serving", "docs", "tests", "tools")
    named = re.findall(rf"`((?:{'|'.join(floors)})/[\w./-]*)`", without_blocks(TEXTS[page]))
    for name in named:
        assert (ROOT / name).exists() or (ROOT / "src" / "authapp" / name).exists(), name


# --- links -----------------------------------------------------------------------------------------------------------


def anchors_of(text: str) -> set[str]:
    """Return the anchors that GitHub gives to the headings."""
    headings = re.findall(r"^#+ (.+)$", without_blocks(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("wing", [email, mail], ids=["email", "mail"])
def test_the_map_of_a_wing_lists_each_of_its_modules(wing: ModuleType) -> None:
    named = re.findall(r"``([a-z_]+)``", "".join(re.findall(r"^- (.+?):", wing.__doc__ or "", re.MULTILINE)))
    assert sorted(named) == sorted(path.stem for path in Path(str(wing.__file__)).parent.glob("[a-z]*.py"))


@every_page
def test_every_relative_link_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(TEXTS[page])):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors_of(file.read_text()), target


def test_the_index_of_decisions_lists_every_record_with_its_title() -> None:
    indexed = [
        (link[1], link[2], row[1])
        for row in rows(TEXTS["docs/decisions/README.md"])
        if (link := re.fullmatch(r"\[(\d{4})\]\((.+)\)", row[0]))
    ]
    titles = [record.read_text().splitlines()[0].removeprefix("# ").split(": ", 1) for record in RECORDS]
    assert indexed == [(number, record.name, title) for record, (number, title) in zip(RECORDS, titles, strict=True)]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_a_decision_record_has_every_part(record: Path) -> None:
    headings = re.findall(r"^## (.+)$", record.read_text(), re.MULTILINE)
    assert headings == ["Context", "Decision", "Reasons", "Consequences"]


# --- the examples of docs/extending.md -------------------------------------------------------------------------------

EXTENDING = TEXTS["docs/extending.md"]
FROM_NOTES = re.findall(r"<!-- from: (\S+) -->\n```python\n(.*?)^```$", EXTENDING, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("file", "block"), FROM_NOTES, ids=lambda value: value.strip().partition("\n")[0])
def test_an_example_of_extending_is_what_the_project_in_the_tests_has(file: str, block: str) -> None:
    assert block in (ROOT / "tests" / "e2e" / "notes_project" / file).read_text()


def test_every_python_example_of_extending_is_taken_from_the_project_or_run_here() -> None:
    run = re.findall(r"<!-- example: (\S+) -->", EXTENDING)
    assert run == ["hotel.py", "club.py"]  # the second one in tests/api/test_provider_kinds.py
    assert len(re.findall(r"^```python$", EXTENDING, re.MULTILINE)) == len(FROM_NOTES) + len(run)


def test_the_application_of_extending_has_locked_bookings_and_an_open_page(
    databases: Databases, tmp_path: Path
) -> None:
    (hotel,) = block_after(EXTENDING, "example: hotel.py")
    (tmp_path / "hotel.py").write_text(hotel)
    script = """
from authapp import testing
from hotel import app
client = testing.client(app)
print(client.get("/").text)
print(client.get("/bookings").json["code"])
print(testing.client(app, testing.create_user(app, "ada")).get("/bookings").json["guest"])
"""
    with databases.migrated() as url:
        variables = environment(url, PYTHONPATH=f"{ROOT / 'src'}")
        ran = subprocess.run(
            [sys.executable, "-c", script], cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=60
        )
    assert ran.stdout.splitlines() == ["A room costs 40 euros a night.", "token_missing", "ada"], ran.stderr


# --- the examples of the README --------------------------------------------------------------------------------------

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
    assert operation["security"] == [{"accessToken": []}, {"apiKey": []}]
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
