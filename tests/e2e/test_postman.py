"""The Postman collection: it passes against the real server, and it leaves nothing of the contract out."""

import base64
import functools
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import create_engine, text

from authapp.errors import catalogue
from e2e.processes import ROOT, Server, flask

COLLECTION = ROOT / "postman" / "authapp.postman_collection.json"
ENVIRONMENT = ROOT / "postman" / "authapp.postman_environment.json"
NEWMAN = ROOT / "node_modules" / ".bin" / "newman"

NOT_PROVOKED = {
    "account_exists": "it takes a user of a provider",
    "provider_already_linked": "it takes a user of a provider",
    "provider_unavailable": "whether a provider answers is not up to a client",
    "email_not_verified": "logins need no verified address unless it is configured otherwise",
    "internal_error": "it takes a bug",
    "last_way_in": "it takes a passkey",
    "origin_not_allowed": "refresh tokens are in no cookie unless it is configured otherwise",
    "registration_closed": "registration is open unless it is configured otherwise",
    "second_factor_enrolment_required": "no role requires a second factor unless it is configured otherwise",
    "service_unavailable": "it takes an outage of the database",
    "token_expired": "an access token lives for 15 minutes",
    "too_many_api_keys": "it takes 50 keys",
    "too_many_passkeys": "it takes passkeys",
    "too_many_requests": "it takes more attempts than a collection that is run again and again may leave behind",
}
"""The codes that a client of a healthy server with the default settings does not meet within a run."""

NOT_PROVOKED_BY = {
    "PUT /api/v1/auth/providers/{name}/logins: 200": "it takes a user of a provider",
    "PUT /api/v1/auth/providers/{name}/logins: 201": "the same",
    "PUT /api/v1/auth/providers/{name}/logins: second_factor_required": "the same",
    "PUT /api/v1/users/me/providers/{name}: 200": "the same",
    "DELETE /api/v1/users/me/providers/{name}: 204": "the same",
    "POST /api/v1/oauth/token: temporarily_unavailable": "it takes an outage of the database, or a limit of each key",
    "POST /api/v1/auth/second-factors: second_factor_required": "it takes a hook of a project's own",
    "PUT /api/v1/auth/login-links: second_factor_required": "it takes a code, which is in a mail",
    "POST /api/v1/auth/passkey-logins: 200": "it takes an authenticator",
    "POST /api/v1/auth/passkey-logins: second_factor_required": "a passkey alone counts as two factors",
    "POST /api/v1/users/me/passkeys: 201": "the same",
    "PATCH /api/v1/users/me/passkeys/{passkey_id}: 200": "it takes a passkey",
    "DELETE /api/v1/users/me/passkeys/{passkey_id}: 204": "the same",
    "PUT /api/v1/auth/email-verifications: email_taken": "it takes a token, which is in a mail",
    "PUT /api/v1/auth/email-verifications: wrong_password": "passwords are only asked for where it is configured",
    "PUT /api/v1/auth/password-resets: password_rejected": "it takes a token, which is in a mail",
    **{
        f"POST /api/v1/auth/{route}: {code}": "mails are limited by the hour, and a collection is run again and again"
        for route in ("email-verifications", "password-resets")
        for code in ("malformed_request", "payload_too_large", "unsupported_media_type")
    },
    "DELETE /api/v1/users/me/totp: not_found": "it takes a session with two factors, of which none is an app",
    "POST /api/v1/users/me/recovery-codes: not_found": "a session with two factors has lost the last one meanwhile",
    "DELETE /api/v1/users/me: step_up_required": "it takes a session that is older than the second factor",
    "PUT /api/v1/users/me/password: step_up_required": "the same",
    **{
        f"{operation}: step_up_required": "it takes a login that is five minutes old, or a race"
        for operation in (
            "POST /api/v1/auth/step-ups",
            "POST /api/v1/users",
            "GET /api/v1/users/me/export",
            "PATCH /api/v1/roles/{name}",
            "PUT /api/v1/users/me/email",
            "DELETE /api/v1/users/me/email",
            "POST /api/v1/users/me/totp",
            "PUT /api/v1/users/me/totp",
            "POST /api/v1/users/me/passkeys/challenges",
            "POST /api/v1/users/me/passkeys",
            "POST /api/v1/users/me/api-keys",
            "POST /api/v1/users/{user_id}/api-keys",
            "DELETE /api/v1/users/me/passkeys/{passkey_id}",
            "POST /api/v1/users/me/providers/{name}",
            "PUT /api/v1/users/me/providers/{name}",
            "DELETE /api/v1/users/me/providers/{name}",
        )
    },
}
"""Outcomes of one operation that the default settings do not produce, although other operations do."""

ITERATIONS = 1
"""Raise it by hand: the second one finds what the first has left. Here that is what the next test does."""

ADMIN = "postman-admin"
ADMIN_PASSWORD = "services ask about tokens"

_STATUS = re.compile(r"to\.have\.status\((\d+)\)")
_CODE = re.compile(r'\.(?:code|error)\)\.to\.eql\("(\w+)"\)')


class Sent(NamedTuple):
    """A request of the collection; ``outcomes`` are the statuses and the error codes that its script asserts."""

    method: str
    path: str
    outcomes: frozenset[str]


@pytest.fixture(scope="module")
def administrator(server: Server, variables: dict[str, str]) -> dict[str, str]:
    """The variables that name an administrator."""
    named = ("users", "create", ADMIN, f"{ADMIN}@example.com", "--role", "admin", "--password-stdin")
    created = flask(variables, *named, stdin=ADMIN_PASSWORD)
    assert created.returncode == 0, created.stderr
    return {"adminUsername": ADMIN, "adminPassword": ADMIN_PASSWORD}


def test_the_collection_passes_against_the_real_server_and_leaves_nothing_behind(
    server: Server, administrator: dict[str, str], tmp_path: Path
) -> None:
    before = _what_is_there(server)
    ran = _newman(tmp_path, server, "--iteration-count", str(ITERATIONS), **administrator)

    assert ran.succeeded, ran.output
    assert len(ran.sent) == ITERATIONS * len(_collection()), "a request was skipped"
    assert _what_is_there(server) == before


def test_the_endpoints_pass_alone_in_a_fresh_import(
    server: Server, administrator: dict[str, str], tmp_path: Path
) -> None:
    ran = _newman(tmp_path, server, "--folder", "Endpoints", **administrator)

    assert ran.succeeded, ran.output


def test_an_endpoint_of_an_account_can_be_clicked_first(server: Server, tmp_path: Path) -> None:
    before = _what_is_there(server)
    ran = _newman(tmp_path, server, "--folder", "Account")

    assert ran.succeeded, ran.output
    assert _what_is_there(server) == before


def test_a_run_without_an_administrator_fails_at_its_first_request_and_says_why(server: Server, tmp_path: Path) -> None:
    assert _items()[0]["name"] == "Setup"
    ran = _newman(tmp_path, server, "--folder", "Setup", "--folder", "Endpoints")

    assert not ran.succeeded
    assert ran.sent[0] == "Log in (administrator)"
    (failure,) = ran.failures
    assert "adminUsername and adminPassword are set" in failure


def test_an_access_token_that_has_expired_is_renewed(server: Server, tmp_path: Path) -> None:
    names = {"username": f"ada-{tmp_path.name}"[:30].rstrip("-_"), "password": ADMIN_PASSWORD}
    account = names | {"email": "renewal@example.com"}
    assert server.call("POST", "/api/v1/auth/register", json=account).status_code == 201
    pair = server.call("POST", "/api/v1/auth/login", json=names).json()
    claims = base64.urlsafe_b64encode(json.dumps({"exp": int(time.time()) - 60}).encode()).decode().rstrip("=")
    stale = names | {"accessToken": f"e30.{claims}.c2ln", "refreshToken": pair["refresh_token"]}

    ran = _newman(tmp_path, server, "--folder", "Ping", collection=_with_variables(_only("Endpoints"), stale))

    assert ran.succeeded, ran.output


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


def test_each_endpoint_has_one_request_to_click(server: Server) -> None:
    clicked = [f"{sent.method} {_template(server, sent.path)}" for sent in map(_sent, _requests(_only("Endpoints")))]
    others = {"GET /docs", "GET /openapi.json"}
    assert sorted(clicked) == sorted(_documented(server).keys() | others)


def test_a_request_is_named_after_its_endpoint_with_what_is_special_in_brackets(server: Server) -> None:
    endpoints = {
        f"{sent.method} {_template(server, sent.path)}": item["name"]
        for item in _requests(_only("Endpoints"))
        if (sent := _sent(item))
    }
    for item in _requests(_items()):
        sent = _sent(item)
        name = endpoints.get(f"{sent.method} {_template(server, sent.path)}")
        if name:
            assert re.fullmatch(rf"{re.escape(name)}( \([^()]+\))?", item["name"]), item["name"]
        assert len(item["name"]) <= 45, item["name"]


def test_every_name_is_that_of_a_file() -> None:
    """Bruno makes a file of each request and a folder of each folder, and changes names that cannot be one."""
    for items in _folders(_items()):
        names = [item["name"] for item in items]
        assert len({name.casefold() for name in names}) == len(names), names
        for name in names:
            assert re.fullmatch(r"[^<>:\"/\\|?*\x00-\x1f]+", name), name
            assert not re.search(r"^[.\s-]|[.\s]$", name), name
            assert not re.fullmatch(r"CON|PRN|AUX|NUL|COM\d|LPT\d", name, re.IGNORECASE), name


class Ran(NamedTuple):
    """A run of newman: the names of the requests that were sent, and the assertions that failed."""

    succeeded: bool
    sent: list[str]
    failures: list[str]
    output: str


def _newman(
    folder: Path, server: Server, *options: str, collection: dict[str, Any] | None = None, **variables: str
) -> Ran:
    if not NEWMAN.exists():
        reason = "newman is not installed: `npm ci` installs it."
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    report, file = folder / "newman.json", COLLECTION
    if collection:
        file = folder / "collection.json"
        file.write_text(json.dumps(collection))
    named = [f"{name}={value}" for name, value in ({"baseUrl": server.url, "provider": "example"} | variables).items()]
    done = subprocess.run(
        [
            *(str(NEWMAN), "run", str(file), "--environment", str(ENVIRONMENT), *options),
            *(argument for name in named for argument in ("--env-var", name)),
            *("--reporters", "cli,json", "--reporter-json-export", str(report), "--color", "off"),
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    run = json.loads(report.read_text())["run"]
    # What a script sends is reported as one more execution of its request.
    sent = {
        (execution["cursor"]["iteration"], execution["cursor"]["position"]): execution["item"]["name"]
        for execution in run["executions"]
        if execution.get("response")
    }
    failures = [failure["error"]["test"] for failure in run["failures"]]
    return Ran(done.returncode == 0, list(sent.values()), failures, f"{done.stdout}\n{done.stderr}")


def _what_is_there(server: Server) -> tuple[str, ...]:
    """Return the accounts and the roles."""
    engine = create_engine(server.database_url)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT username FROM users UNION ALL SELECT name FROM roles ORDER BY 1"))
        rows = tuple(found.scalars())
    engine.dispose()
    return rows


def _only(folder: str) -> list[dict[str, Any]]:
    return [item for item in _items() if item["name"] == folder]


def _with_variables(items: list[dict[str, Any]], values: dict[str, str]) -> dict[str, Any]:
    """Return the collection with these items and the values that somebody's client has kept."""
    collection: dict[str, Any] = json.loads(COLLECTION.read_text())
    kept = [variable | {"value": values.get(variable["key"], variable["value"])} for variable in collection["variable"]]
    return collection | {"item": items, "variable": kept}


def _folders(items: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    yield items
    for item in items:
        yield from _folders(item.get("item", []))


def _items() -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(COLLECTION.read_text())["item"]
    return items


def _collection() -> list[Sent]:
    return [_sent(item) for item in _requests(_items())]


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
    (content,) = response["content"].values()
    return list(content["examples"])


def _asserted(server: Server) -> dict[str, set[str]]:
    """The outcomes that the collection asserts of each operation."""
    asserted: dict[str, set[str]] = {}
    for sent in _collection():
        asserted.setdefault(f"{sent.method} {_template(server, sent.path)}", set()).update(sent.outcomes)
    return asserted


def _template(server: Server, path: str) -> str:
    # A path that is spelt out comes before one with a parameter in its place.
    paths = sorted(_contract(server)["paths"], key=lambda path: path.count("{"))
    return next((template for template in paths if _is_at(template, path)), path)


def _is_at(template: str, path: str) -> bool:
    pattern = "".join("[^/]+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{\w+\})", template))
    return re.fullmatch(pattern, path) is not None


@functools.cache
def _contract(server: Server) -> dict[str, Any]:
    contract: dict[str, Any] = server.call("GET", "/openapi.json").json()
    return contract
