"""The Postman collection: it passes against the real server, and it leaves nothing of the contract out."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from authapp.errors import catalogue
from e2e.processes import ROOT, Server, flask

COLLECTION = ROOT / "postman" / "authapp.postman_collection.json"
ENVIRONMENT = ROOT / "postman" / "authapp.postman_environment.json"
NEWMAN = ROOT / "node_modules" / ".bin" / "newman"

NOT_PROVOKED = {
    "internal_error": "it takes a bug",
    "registration_closed": "registration is open unless it is configured otherwise",
    "service_unavailable": "it takes an outage of the database",
    "token_expired": "an access token lives for 15 minutes",
    "too_many_requests": "it takes more attempts than a collection that is run again and again may leave behind",
}
"""The codes that a client of a healthy server with the default settings does not meet within a run."""

NOT_PROVOKED_BY = {
    "DELETE /api/v1/users/me: permission_denied": "it takes a project's own authenticator, without sessions",
}
"""Outcomes of one operation that the default settings do not produce, although other operations do."""

ITERATIONS = 2  # the second one finds the accounts of the first in the database

ADMIN = "postman-admin"
ADMIN_PASSWORD = "services ask about tokens"

_STATUS = re.compile(r"to\.have\.status\((\d+)\)")
_CODE = re.compile(r'\.code\)\.to\.eql\("(\w+)"\)')


class Sent(NamedTuple):
    """A request of the collection; ``outcomes`` are the statuses and the error codes that its script asserts."""

    method: str
    path: str
    outcomes: frozenset[str]


def test_the_collection_passes_against_the_real_server_again_and_again(
    server: Server, variables: dict[str, str], tmp_path: Path
) -> None:
    newman = _newman()
    report = tmp_path / "newman.json"
    named = ("users", "create", ADMIN, f"{ADMIN}@example.com", "--role", "admin", "--password-stdin")
    created = flask(variables, *named, stdin=ADMIN_PASSWORD)
    assert created.returncode == 0, created.stderr

    ran = subprocess.run(
        [
            *(str(newman), "run", str(COLLECTION), "--environment", str(ENVIRONMENT)),
            *("--env-var", f"baseUrl={server.url}", "--iteration-count", str(ITERATIONS)),
            *("--env-var", f"adminUsername={ADMIN}", "--env-var", f"adminPassword={ADMIN_PASSWORD}"),
            *("--reporters", "cli,json", "--reporter-json-export", str(report), "--color", "off"),
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    run = json.loads(report.read_text())["run"]
    assert run["failures"] == []
    assert run["stats"]["requests"]["total"] == ITERATIONS * len(_collection())


def test_every_request_of_the_collection_asserts_something_of_its_own() -> None:
    silent = [f"{sent.method} {sent.path}" for sent in _collection() if not sent.outcomes]
    assert not silent, "\n".join(silent)


def test_every_operation_of_the_contract_has_a_request(server: Server) -> None:
    missing = sorted(_documented(server).keys() - _asserted(server).keys())
    assert not missing, "\n".join(missing)


def test_every_documented_outcome_of_every_operation_is_asserted_by_a_request(server: Server) -> None:
    asserted = _asserted(server)
    missing = {
        f"{operation}: {outcome}"
        for operation, outcomes in _documented(server).items()
        for outcome in outcomes - asserted.get(operation, set()) - NOT_PROVOKED.keys()
    }
    assert sorted(missing) == sorted(NOT_PROVOKED_BY)


def test_the_codes_that_no_request_provokes_are_exactly_the_listed_ones() -> None:
    asserted = {outcome for sent in _collection() for outcome in sent.outcomes}
    assert sorted(catalogue().keys() - asserted) == sorted(NOT_PROVOKED)


def _newman() -> Path:
    if not NEWMAN.exists():
        reason = "newman is not installed: `npm ci` installs it."
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return NEWMAN


def _collection() -> list[Sent]:
    return [_sent(item) for item in _requests(json.loads(COLLECTION.read_text())["item"])]


def _requests(items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for item in items:
        if "item" in item:
            yield from _requests(item["item"])
        else:
            yield item


def _sent(item: dict[str, Any]) -> Sent:
    request = item["request"]
    # Postman writes an address as an object once the request was edited in it.
    url = request["url"] if isinstance(request["url"], str) else request["url"]["raw"]
    path = url.removeprefix("{{baseUrl}}").partition("?")[0]
    scripts = (event["script"]["exec"] for event in item.get("event", []) if event["listen"] == "test")
    asserting = "\n".join(line for script in scripts for line in script)
    return Sent(request["method"], path, frozenset(_STATUS.findall(asserting) + _CODE.findall(asserting)))


def _documented(server: Server) -> dict[str, set[str]]:
    """The outcomes of each operation: the status of a success, and the codes of the errors."""
    return {
        f"{method.upper()} {path}": {
            outcome
            for status, response in operation["responses"].items()
            for outcome in ([status] if status.startswith("2") else _codes(response))
        }
        for path, methods in _contract(server)["paths"].items()
        for method, operation in methods.items()
        if method != "parameters"
    }


def _codes(response: dict[str, Any]) -> list[str]:
    return list(response["content"]["application/problem+json"]["examples"])


def _asserted(server: Server) -> dict[str, set[str]]:
    """The outcomes that the collection asserts of each operation."""
    # A path that is spelt out comes before one with a parameter in its place.
    paths = sorted(_contract(server)["paths"], key=lambda path: path.count("{"))
    asserted: dict[str, set[str]] = {}
    for sent in _collection():
        path = next((path for path in paths if _is_at(path, sent.path)), sent.path)
        asserted.setdefault(f"{sent.method} {path}", set()).update(sent.outcomes)
    return asserted


def _is_at(template: str, path: str) -> bool:
    pattern = "".join("[^/]+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{\w+\})", template))
    return re.fullmatch(pattern, path) is not None


def _contract(server: Server) -> dict[str, Any]:
    contract: dict[str, Any] = server.call("GET", "/openapi.json").json()
    return contract
