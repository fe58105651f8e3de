"""New passwords are looked up in a list of breached ones, and a list that fails refuses nobody."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from authapp.cli.checks import without_database
from authapp.cli.checks.passwords import breached_list
from authapp.context import OPERATOR
from authapp.database import deadline
from authapp.database.session import db
from authapp.domain.passwords import breached
from authapp.domain.passwords.breach_range import MAX_BYTES, RangeAPI
from authapp.domain.passwords.breached import FAILURES, PAUSE, breached_passwords
from authapp.domain.services import Services
from authapp.errors import PasswordRejected
from breach_files import NEVER_LOST, listed, skipped
from conftest import reconfigured
from factories import PASSWORD, Api, a_session, a_user, problem
from range_server import BREACHED, RangeServer, answer, cut_short, digest, drip, endless, hang, range_server

REASON = "It is in a list of breached passwords."


@pytest.fixture
def server() -> Iterator[RangeServer]:
    with range_server() as running:
        yield running


@pytest.fixture
def looked_up(app: Flask, server: RangeServer, monkeypatch: pytest.MonkeyPatch) -> RangeServer:
    """The server that the application asks about new passwords."""
    reconfigured(app, monkeypatch, breached_passwords=server.address)
    return server


def contains(server: RangeServer, password: str) -> bool:
    return RangeAPI(server.address).has_digest(digest(password).encode())


def test_a_breached_password_is_refused_wherever_one_is_set_and_never_at_a_login(
    app: Flask, api: Api, looked_up: RangeServer
) -> None:
    names = {"username": "ada", "email": "ada@example.com"}
    body = problem(api.post("/auth/register", {**names, "password": BREACHED}), 422, "password_rejected")
    assert body["errors"] == [{"pointer": "#/password", "detail": REASON}]
    user = a_user(app)
    token = a_session(app, user).access_token
    change = {"current_password": PASSWORD, "new_password": BREACHED}
    errors = problem(api("PUT", "/users/me/password", token, json=change), 422, "password_rejected")["errors"]
    assert errors == [{"pointer": "#/new_password", "detail": REASON}]
    with app.app_context():
        with pytest.raises(PasswordRejected, match=REASON):
            Services.of(app).administration.set_password(user.id, BREACHED, OPERATOR)
        with pytest.raises(PasswordRejected, match=REASON):
            Services.of(app).accounts.create(**names, password=BREACHED, context=OPERATOR)
    asked = len(looked_up.paths)
    problem(api.log_in(user.username, BREACHED), 401, "invalid_credentials")
    assert api.log_in(user.username).status_code == 200
    assert len(looked_up.paths) == asked
    assert api.post("/auth/register", {**names, "password": NEVER_LOST}).status_code == 201


def test_an_operator_cannot_set_a_breached_password(app: Flask, looked_up: RangeServer) -> None:
    created = app.test_cli_runner().invoke(
        args=["users", "create", "ada", "ada@example.com", "--password-stdin"], input=BREACHED
    )
    assert created.exit_code == 1
    assert REASON in created.output


def test_a_password_that_is_refused_anyhow_is_not_looked_up(api: Api, looked_up: RangeServer) -> None:
    names = {"username": "ada", "email": "ada@example.com"}
    problem(api.post("/auth/register", {**names, "password": "short"}), 422, "password_rejected")
    assert looked_up.paths == []


def test_the_server_learns_five_digits_and_asks_for_padding(server: RangeServer) -> None:
    assert contains(server, BREACHED)
    assert server.paths == [f"/range/{digest(BREACHED)[:5]}"]
    assert server.headers[0]["Add-Padding"] == "true"


def test_a_breached_password_is_refused_before_it_is_hashed(
    app: Flask, api: Api, looked_up: RangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Services.of(app).hasher, "hash", lambda *_: pytest.fail("it was hashed"))
    body = {"username": "ada", "email": "ada@example.com", "password": BREACHED}
    problem(api.post("/auth/register", body), 422, "password_rejected")
    assert len(looked_up.paths) == 1


@pytest.mark.committed
def test_no_connection_to_the_database_is_held_and_its_deadline_waits(
    app: Flask, api: Api, looked_up: RangeServer
) -> None:
    with app.app_context():
        pool: Any = db.engine.pool
    connections: list[int] = []

    def slow(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.4)
        connections.append(pool.checkedout())
        answer(handler, b"0" * 35 + b":1")

    looked_up.behave = slow
    left: list[float] = []
    policy = Services.of(app).password_policy
    assert policy.breached is not None
    with app.app_context():
        deadline.start(0.2)
        list(policy.breached.objections(NEVER_LOST, OPERATOR))
        left.append(deadline.left(10))
        deadline.stop()
    token = a_session(app, a_user(app)).access_token
    change = {"current_password": PASSWORD, "new_password": NEVER_LOST}
    assert api("PUT", "/users/me/password", token, json=change).status_code == 204
    assert connections == [0] * len(connections)
    assert len(connections) >= 3
    assert left[0] > 0.1


MISBEHAVIOUR: dict[str, tuple[Callable[[BaseHTTPRequestHandler], None], str]] = {
    "slow": (hang, "did not answer within 1 s"),
    "dripping": (drip, "did not answer within 1 s"),
    "endless": (endless, f"longer than {MAX_BYTES} bytes"),
    "broken": (lambda handler: answer(handler, b"", 500), "answered 500"),
    "elsewhere": (lambda handler: answer(handler, b"", 302, Location="https://example.com/"), "answered 302"),
    "garbage": (lambda handler: answer(handler, b"<html>Welcome to our hotel</html>"), "not a range"),
    "another list": (lambda handler: answer(handler, b"0" * 40 + b":1"), "not a range"),
    "without counts": (lambda handler: answer(handler, b"0" * 35), "not a range"),
    "empty": (lambda handler: answer(handler, b""), "not a range"),
    "cut short": (cut_short, "ended early"),
    "not HTTP": (lambda handler: handler.wfile.write(b"220 mail.example.com ESMTP\r\n" * 9), "BadStatusLine"),
}


@pytest.mark.parametrize("kind", MISBEHAVIOUR)
def test_a_server_that_misbehaves_refuses_nobody_and_is_recorded(
    app: Flask, api: Api, looked_up: RangeServer, kind: str
) -> None:
    looked_up.behave, reason = MISBEHAVIOUR[kind]
    body = {"username": "ada", "email": "ada@example.com", "password": BREACHED}
    began = time.monotonic()
    assert api.post("/auth/register", body).status_code == 201
    assert time.monotonic() - began < 2.5
    (recorded,) = skipped(app)
    assert reason in recorded
    assert digest(BREACHED)[:5] not in recorded


def test_a_server_that_is_not_there_refuses_nobody(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    with range_server() as gone:
        address = gone.address
    reconfigured(app, monkeypatch, breached_passwords=address)
    a_user(app, password=BREACHED)
    assert skipped(app) == ["The server could not be reached: ConnectionRefusedError."]


@pytest.fixture
def monotonic(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock of the pause and of the event."""
    now = [1000.0]

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return now[0]

    monkeypatch.setattr(breached, "time", Clock)
    return now


def ask(app: Flask, password: str) -> list[str]:
    policy = Services.of(app).password_policy
    assert policy.breached is not None
    with app.app_context():
        return list(policy.breached.objections(password, OPERATOR))


def test_after_three_failures_in_a_row_the_server_is_left_alone_for_a_minute(
    app: Flask, looked_up: RangeServer, monotonic: list[float]
) -> None:
    looked_up.behave = MISBEHAVIOUR["broken"][0]
    for _ in range(FAILURES):
        assert ask(app, BREACHED) == []
    looked_up.behave = None
    assert ask(app, BREACHED) == []
    monotonic[0] += PAUSE - 1
    assert ask(app, BREACHED) == []
    assert len(looked_up.paths) == FAILURES
    monotonic[0] += 1
    assert ask(app, BREACHED) == [REASON]
    assert len(looked_up.paths) == FAILURES + 1


def test_one_more_failure_after_the_pause_begins_the_next(
    app: Flask, looked_up: RangeServer, monotonic: list[float]
) -> None:
    looked_up.behave = MISBEHAVIOUR["broken"][0]
    for _ in range(FAILURES):
        ask(app, BREACHED)
    monotonic[0] += PAUSE
    for _ in range(3):
        ask(app, BREACHED)
    assert len(looked_up.paths) == FAILURES + 1


def test_failures_that_are_not_in_a_row_begin_no_pause(app: Flask, looked_up: RangeServer) -> None:
    for number in range(3 * FAILURES):
        looked_up.behave = MISBEHAVIOUR["broken"][0] if number % FAILURES else None
        ask(app, BREACHED)
    assert len(looked_up.paths) == 3 * FAILURES


def test_the_event_is_recorded_once_a_minute_at_most(
    app: Flask, looked_up: RangeServer, monotonic: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    looked_up.behave = MISBEHAVIOUR["broken"][0]
    for _ in range(5):
        ask(app, BREACHED)
    assert skipped(app) == ["The server answered 500."]
    monotonic[0] += PAUSE - 1
    ask(app, BREACHED)
    assert len(skipped(app)) == 1
    monotonic[0] += 1
    ask(app, BREACHED)
    assert len(skipped(app)) == 2
    warnings = [record for record in caplog.records if record.name == breached.__name__]
    assert len(warnings) == 2
    assert BREACHED not in caplog.text


def test_no_list_is_asked_unless_one_is_configured(app: Flask) -> None:
    assert breached_passwords("off") is None
    assert Services.of(app).password_policy.breached is None


def doctor_says(app: Flask, monkeypatch: pytest.MonkeyPatch, setting: str) -> tuple[str, str]:
    reconfigured(app, monkeypatch, breached_passwords=setting)
    result = breached_list(Services.of(app))
    return str(result.level), result.sentence


def test_the_doctor_asks_the_list(
    app: Flask, server: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says = partial(doctor_says, app, monkeypatch)
    assert breached_list in without_database
    assert says("off") == ("ok", "None is configured.")
    assert says(listed(tmp_path, "password").as_uri()) == ("ok", "The list answers.")
    assert says(listed(tmp_path).as_uri())[0] == "warn"
    assert says((tmp_path / "gone").as_uri()) == ("fail", "The file cannot be read: No such file or directory.")
    server.behave = lambda handler: answer(handler, f"{digest('password')[5:]}:9".encode())
    assert says(server.address) == ("ok", "The list answers.")
    server.behave = MISBEHAVIOUR["broken"][0]
    assert says(server.address) == ("fail", "The server answered 500.")


def test_the_doctor_sees_that_a_file_is_not_sorted(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = listed(tmp_path, "password")
    path.write_bytes(b"\n".join(reversed(path.read_bytes().split())))
    assert doctor_says(app, monkeypatch, path.as_uri()) == ("fail", "The file is not sorted by the hashes.")
