"""Forward auth: another service behind a real nginx, which asks authapp before each request, as deploy/ ships it."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from e2e.failing_nodes import HangsUp
from e2e.guarded import Verifier, ask, echoing, guarding, received
from e2e.others import unavailable
from e2e.processes import Server, environment, flask, serving
from factories import PASSWORD
from ports import free_port

GUEST = 'Bearer realm="authapp"'
IDENTITY = [
    *("X-Auth-User-Id", "X-Auth-Username", "X-Auth-Roles", "X-Auth-Session-Id", "X-Auth-Email-Verified"),
    *("X-Auth-Amr", "X-Auth-Acr", "X-Auth-Time", "X-Auth-Api-Key-Id", "X-Auth-Scope"),
]
FORGED = dict.fromkeys(IDENTITY, "root")


@pytest.fixture(scope="module")
def variables(variables: dict[str, str]) -> dict[str, str]:
    return variables | {"AUTHAPP_TRUSTED_PROXIES": "1", "AUTHAPP_RATE_LIMIT_API_KEY": "3/hour"}


@pytest.fixture(scope="module")
def service() -> Iterator[int]:
    with echoing() as port:
        yield port


@pytest.fixture(scope="module")
def gate(server: Server, service: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the nginx before both."""
    with guarding(tmp_path_factory.mktemp("nginx") / "gate", server.port, service) as url:
        yield url


@pytest.fixture(scope="module")
def ada(server: Server, variables: dict[str, str]) -> str:
    """The id of an administrator."""
    created = flask(
        variables, "users", "create", "Ada", "ada@example.com", "--role", "admin", "--password-stdin", stdin=PASSWORD
    )
    assert created.returncode == 0, created.stderr
    shown = flask(variables, "users", "show", "Ada", "--json")
    identifier: str = json.loads(shown.stdout)["id"]
    return identifier


def logged_in(url: str) -> str:
    pair = requests.post(f"{url}/api/v1/auth/login", json={"username": "Ada", "password": PASSWORD}, timeout=30)
    assert pair.status_code == 200, pair.text
    token: str = pair.json()["access_token"]
    return token


@contextmanager
def suspended(authapp: Server) -> Iterator[None]:
    """Let connections be taken, and nobody answer them."""
    workers = psutil.Process(authapp.process.pid).children()
    for worker in workers:
        worker.suspend()
    try:
        yield
    finally:
        for worker in workers:
            worker.resume()


def test_a_guest_is_told_what_is_missing(gate: str) -> None:
    refused = ask(gate)

    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == GUEST
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.json()["status"] == 401


def test_a_token_that_is_none_is_told_so(gate: str) -> None:
    refused = ask(gate, "no.such.token")

    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith(f'{GUEST}, error="invalid_token"')


def test_the_service_learns_who_is_asking(gate: str, server: Server, ada: str) -> None:
    token = logged_in(gate)
    sessions = server.call("GET", "/api/v1/users/me/sessions", token).json()["items"]

    headers = received(ask(gate, token))

    session = next(session for session in sessions if session["current"])
    auth_time = datetime.fromisoformat(session["auth_time"])
    assert {name: headers.get(name) for name in IDENTITY} == {
        "X-Auth-User-Id": ada,
        "X-Auth-Username": "Ada",
        "X-Auth-Roles": "admin",
        "X-Auth-Session-Id": session["id"],
        "X-Auth-Email-Verified": "false",
        "X-Auth-Amr": "pwd",
        "X-Auth-Acr": "sfa",
        "X-Auth-Time": str(int(auth_time.timestamp())),
        "X-Auth-Api-Key-Id": None,
        "X-Auth-Scope": None,
    }


def succeed(variables: dict[str, str], *arguments: str) -> str:
    done = flask(variables, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def make_key(variables: dict[str, str]) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(succeed(variables, "api-keys", "create", "reports", "--name", "x", "--json"))
    return made


@pytest.fixture(scope="module")
def reports(server: Server, variables: dict[str, str]) -> str:
    """The id of a service."""
    created = json.loads(succeed(variables, "users", "create-service", "reports", "--role", "admin", "--json"))
    return str(created["id"])


def test_a_program_comes_in_with_a_key_until_it_is_deleted(gate: str, reports: str, variables: dict[str, str]) -> None:
    made = make_key(variables)

    headers = received(ask(gate, made["key"]))

    assert "users:read" in headers.pop("X-Auth-Scope").split()
    # nginx leaves out a header that is empty: nobody has logged in.
    assert {name: headers[name] for name in IDENTITY if name in headers} == {
        "X-Auth-User-Id": reports,
        "X-Auth-Username": "reports",
        "X-Auth-Roles": "admin",
        "X-Auth-Email-Verified": "false",
        "X-Auth-Api-Key-Id": made["id"],
    }
    assert made["key"] not in str(headers)
    succeed(variables, "api-keys", "delete", "reports", made["id"])
    assert ask(gate, made["key"]).status_code == 401


def test_a_program_that_asks_too_much_is_told_when_to_ask_again(
    gate: str, reports: str, variables: dict[str, str]
) -> None:
    key = make_key(variables)["key"]

    answers = [ask(gate, key) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert 1 <= int(answers[3].headers["Retry-After"]) <= 1200
    assert answers[3].headers["Content-Type"] == "application/problem+json"
    assert (answers[3].json()["status"], answers[3].json()["code"]) == (429, "too_many_requests")


def test_the_service_learns_of_many_permissions(service: int, tmp_path: Path) -> None:
    scope = "x" * 7_000
    with echoing(Verifier) as verifier, guarding(tmp_path / "gate", verifier, service) as gate:
        assert received(ask(gate, f"204..{scope}"))["X-Auth-Scope"] == scope


def test_the_service_never_sees_the_token(gate: str, ada: str) -> None:
    assert "Authorization" not in received(ask(gate, logged_in(gate)))


def test_an_identity_that_the_client_claims_is_replaced(gate: str, ada: str) -> None:
    spelt_otherwise = {name.lower().replace("-", "_"): "root" for name in IDENTITY}

    headers = received(ask(gate, logged_in(gate), headers=FORGED | spelt_otherwise))

    assert headers["X-Auth-Username"] == "Ada"
    assert "root" not in headers.values()


def test_a_claimed_identity_opens_nothing_without_a_token(gate: str) -> None:
    assert ask(gate, headers=FORGED).status_code == 401


def test_an_address_that_the_client_claims_is_not_believed(gate: str, ada: str) -> None:
    claim = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9"}
    credentials = {"username": "Ada", "password": PASSWORD}
    pair = requests.post(f"{gate}/api/v1/auth/login", json=credentials, headers=claim, timeout=30).json()

    sessions = ask(gate, pair["access_token"], "/api/v1/users/me/sessions").json()["items"]
    headers = received(ask(gate, pair["access_token"], headers=claim))

    assert {session["ip_address"] for session in sessions if session["current"]} == {"127.0.0.1"}
    assert headers["X-Forwarded-For"] == "127.0.0.1"
    assert "Forwarded" not in headers


def test_a_logged_out_token_is_refused_on_the_next_request(gate: str, ada: str) -> None:
    token = logged_in(gate)
    assert ask(gate, token).status_code == 200

    assert ask(gate, token, "/api/v1/auth/logout", method="POST").status_code == 204

    refused = ask(gate, token)
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]


@pytest.mark.parametrize("chunked", [False, True])
def test_the_body_goes_to_the_service_alone(gate: str, ada: str, *, chunked: bool) -> None:
    body = b"x" * 300_000  # more than authapp takes
    data = iter([body[:100_000], body[100_000:]]) if chunked else body

    answer = ask(gate, logged_in(gate), method="POST", data=data)

    assert answer.status_code == 200, answer.text
    assert answer.json()["body"] == body.decode()


def test_what_nginx_cannot_read_is_refused_in_the_shape_of_authapp(gate: str) -> None:
    for part in ("a" * 40_000, "%00"):
        answer = requests.get(f"{gate}/{part}", timeout=5)
        assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json"), answer.text
        assert answer.json()["code"] == "malformed_request"


def test_the_verifier_cannot_be_asked_from_outside_by_its_inner_name(gate: str, ada: str) -> None:
    assert ask(gate, logged_in(gate), "/_authapp/verify").status_code == 404


def test_an_error_of_the_service_stays_its_own(gate: str, ada: str) -> None:
    answer = ask(gate, logged_in(gate), "/app/broken")

    assert answer.status_code == 500
    assert "headers" in answer.json()


def test_refusals_of_authapp_pass_unchanged(gate: str, server: Server) -> None:
    through, direct = ask(gate, path="/api/v1/ping"), server.call("GET", "/api/v1/ping")

    assert (through.status_code, through.json()["code"]) == (401, "token_missing")
    assert through.headers["WWW-Authenticate"] == direct.headers["WWW-Authenticate"]
    too_much = ask(gate, path="/api/v1/auth/login", method="POST", json={"username": "x" * 70_000})
    assert (too_much.status_code, too_much.json()["code"]) == (413, "payload_too_large")
    refused_by_nginx = ask(gate, path="/api/v1/auth/login", method="POST", json={"username": "x" * 200_000})
    assert (refused_by_nginx.status_code, refused_by_nginx.json()["code"]) == (413, "payload_too_large")


def test_an_authapp_that_stops_or_hangs_lets_nobody_in(
    variables: dict[str, str], service: int, ada: str, tmp_path: Path
) -> None:
    with serving(tmp_path, variables) as authapp, guarding(tmp_path / "gate", authapp.port, service) as gate:
        token = logged_in(gate)
        assert ask(gate, token).status_code == 200

        with suspended(authapp):
            hanging = [ask(gate, token), ask(gate)]
        authapp.wait_until()
        assert ask(gate, token).status_code == 200

        authapp.stop()
        stopped = [ask(gate, token), ask(gate)]

    for answer in hanging + stopped:
        unavailable(answer)


def test_refusals_of_the_verifier_keep_their_code(service: int, tmp_path: Path) -> None:
    refusals = {
        "401.token_expired": (401, "token_expired"),
        "401.token_revoked": (401, "token_revoked"),
        "401": (401, "token_invalid"),
        "403.second_factor_enrolment_required": (403, "second_factor_enrolment_required"),
        "403": (403, "permission_denied"),
    }
    with echoing(Verifier) as verifier, guarding(tmp_path / "gate", verifier, service) as gate:
        for token, (status, code) in refusals.items():
            refused = ask(gate, token)
            assert (refused.status_code, refused.headers["Content-Type"]) == (status, "application/problem+json")
            document = refused.json()
            assert (document["status"], document["code"], document["type"]) == (status, code, f"/problems/{code}")
            assert refused.headers["Cache-Control"] == "no-store"


def test_an_authapp_without_its_database_lets_nobody_in(
    server: Server, variables: dict[str, str], service: int, ada: str, tmp_path: Path
) -> None:
    token = logged_in(server.url)
    unreachable = variables | environment(f"postgresql://nobody@127.0.0.1:{free_port()}/authapp")
    authapp = Server(tmp_path, unreachable)
    try:
        authapp.wait_until("/health/live")
        with guarding(tmp_path / "gate", authapp.port, service) as gate:
            unavailable(ask(gate, token))
    finally:
        authapp.stop()


@pytest.mark.parametrize(("method", "sent"), [("GET", 2), ("POST", 1), ("PATCH", 1), ("PUT", 1), ("DELETE", 1)])
def test_of_requests_on_a_connection_that_ends_only_a_get_is_sent_again(
    tmp_path: Path, service: int, method: str, sent: int
) -> None:
    authapp = HangsUp()
    authapp.start()
    with closing(authapp), guarding(tmp_path / "nginx", authapp.port, service) as gate:
        assert ask(gate, path="/warm", method="OPTIONS").status_code == 200
        answer = ask(gate, path="/nothing", method=method)
        assert authapp.requests == [b"OPTIONS", *[method.encode()] * sent]
    if method == "GET":
        assert answer.status_code == 200
    else:
        unavailable(answer, 502)
