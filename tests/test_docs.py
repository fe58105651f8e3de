"""The documentation, held against the code: what it names exists, and what exists is named."""

import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
from flask import Flask
from flask.testing import FlaskClient
from opentelemetry.sdk import environment_variables

from authapp.api.errors import documentation, status_of
from authapp.cli import COMMANDS
from authapp.domain import email, mail
from authapp.errors import catalogue
from databases import Databases
from doc_pages import ROOT, TEXTS, VARIABLES, block_after, code_in, every_page, rows, without_blocks
from e2e.processes import environment

RECORDS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))


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
    assert described == existing - {("GET", f"{page}/{{name}}") for page in ("/docs", "/account/assets", "/console")}


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


# --- names -----------------------------------------------------------------------------------------------------------

ELSEWHERE = {
    "AUTHAPP_RATE_LIMIT_NOTE_WRITING": "tests/e2e/test_package.py",
    "FLASK_SECRET_KEY": "tests/e2e/test_package.py",
    "GUNICORN_CMD_ARGS": "tests/e2e/test_access_log.py",
    "DATABASE_URL": "src/authapp/config/environment.py",
    "TEST_DATABASE_URL": "tests/databases.py",
    "WEB_CONCURRENCY": "src/authapp/serving/settings.py",
    "PORT": "tools/serve.py",
    "OTEL_TRACES_EXPORTER": "src/authapp/tracing/__init__.py",
    "SSL_CERT_FILE": "tests/domain/test_breach_range.py",
    "EXPORT_MAX_ITEMS": "src/authapp/domain/own_exports.py",
    "AUTHAPP_HASHING_QUEUE": "CHANGELOG.md",  # it was one, and is gone
}
"""Names in capitals that are no settings: where each of them is read."""

OPENTELEMETRY = {name for name in vars(environment_variables) if name.startswith("OTEL_")}


@every_page
def test_every_variable_that_a_page_names_exists(page: str) -> None:
    named = set(re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", without_blocks(TEXTS[page])))
    named |= set(re.findall(r"\bAUTHAPP_\w+", TEXTS[page]))
    for name in named - OPENTELEMETRY:
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


@every_page
def test_every_file_of_tests_that_a_page_names_exists(page: str) -> None:
    there = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    assert set(re.findall(r"\btest_\w+\.py\b", TEXTS[page])) <= there


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
