"""Codes and challenges at the same moment, on the real server with several workers."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import requests
from flask import Flask
from sqlalchemy import func, select

from authapp import create_app
from authapp.context import OPERATOR
from authapp.database.session import db
from authapp.domain.audit import EventType
from authapp.domain.services import Services
from authapp.models import AuditEvent, Session, User
from conftest import dispose
from e2e.processes import Server
from e2e.test_email_races import calls_at_once
from factories import PASSWORD, a_user
from factors import AuthenticatorApp, an_app
from settings import settings

AT_ONCE = 20
CHALLENGES = 8
FREE = 10
ALLOWED = FREE + 10
"""The delays after the free guesses double: ten more would take a quarter of an hour."""
SECOND_FACTORS = "/api/v1/auth/second-factors"


@pytest.fixture(scope="module")
def variables(variables: dict[str, str]) -> dict[str, str]:
    """The default, and not what other tests need, which guess more often."""
    return {**variables, "AUTHAPP_LOGIN_FAILURES_PER_ACCOUNT": str(FREE)}


@pytest.fixture
def neighbour(server: Server) -> Iterator[Flask]:
    """An application on the database of the server, which stores what the server is to find."""
    app = create_app(settings(database_url=server.database_url))
    yield app
    dispose(app)


@pytest.fixture
def user(neighbour: Flask) -> User:
    return a_user(neighbour)


@pytest.fixture
def phone(neighbour: Flask, user: User) -> AuthenticatorApp:
    return an_app(neighbour, user)


def challenge_of(server: Server, user: User) -> str:
    response = server.call("POST", "/api/v1/auth/login", json={"username": user.username, "password": PASSWORD})
    assert response.json()["code"] == "second_factor_required", response.text
    return str(response.json()["challenge"])


def second_step(server: Server, challenge: str, code: str, factor: str) -> Callable[[], requests.Response]:
    body = {"challenge": challenge, "factor": factor, "code": code}
    return lambda: server.call("POST", SECOND_FACTORS, json=body)


def sessions_of(app: Flask, user: User) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(Session).where(Session.user_id == user.id)) or 0


@pytest.mark.parametrize("factor", ["totp", "recovery_code"])
@pytest.mark.parametrize("challenges", [1, 5])
def test_of_twenty_who_send_one_code_at_once_one_logs_in(
    neighbour: Flask, server: Server, user: User, phone: AuthenticatorApp, factor: str, challenges: int
) -> None:
    all_challenges = [challenge_of(server, user) for _ in range(challenges)]
    code = phone.code() if factor == "totp" else phone.recovery_codes[0]
    calls = [second_step(server, all_challenges[number % challenges], code, factor) for number in range(AT_ONCE)]
    statuses = calls_at_once(calls)
    # Failures in a row are counted while the code is compared, so some are told to wait.
    assert statuses.count(200) == 1, Counter(statuses)
    assert set(statuses) <= {200, 401, 429, 503}
    assert sessions_of(neighbour, user) == 1


def test_one_challenge_starts_one_session_whatever_completes_it(
    neighbour: Flask, server: Server, user: User, phone: AuthenticatorApp
) -> None:
    challenge = challenge_of(server, user)
    calls = [second_step(server, challenge, code, "recovery_code") for code in phone.recovery_codes * 2]
    assert len(calls) == AT_ONCE
    statuses = calls_at_once(calls)
    assert statuses.count(200) == 1, Counter(statuses)
    assert sessions_of(neighbour, user) == 1
    with neighbour.app_context():
        used = select(func.count()).where(
            AuditEvent.type == EventType.RECOVERY_CODE_USED, AuditEvent.subject_id == user.id
        )
        assert db.session.scalar(used) == 1


def test_of_many_guesses_at_once_no_more_are_compared_than_are_allowed(
    neighbour: Flask, server: Server, user: User, phone: AuthenticatorApp
) -> None:
    wrong = phone.wrong_code()
    for _ in range(3):  # 120 guesses, as far as the challenges are concerned
        all_challenges = [challenge_of(server, user) for _ in range(CHALLENGES)]
        calls = [second_step(server, all_challenges[number % CHALLENGES], wrong, "totp") for number in range(40)]
        calls_at_once(calls)
    with neighbour.app_context():
        compared = select(func.count()).where(
            AuditEvent.type == EventType.SECOND_FACTOR_REFUSED, AuditEvent.subject_id == user.id
        )
        assert 0 < (db.session.scalar(compared) or 0) <= ALLOWED


def test_a_code_that_races_the_end_of_the_account_leaves_no_session_alive(
    neighbour: Flask, server: Server, user: User, phone: AuthenticatorApp
) -> None:
    challenge = challenge_of(server, user)

    def disable() -> requests.Response:
        with neighbour.app_context():
            Services.of(neighbour).administration.disable(user.id, OPERATOR)
        return server.call("GET", "/health/live")

    statuses = calls_at_once([second_step(server, challenge, phone.code(), "totp"), disable])
    assert set(statuses) <= {200, 401}
    with neighbour.app_context():
        live = select(func.count()).where(Session.user_id == user.id, Session.ended_at.is_(None))
        assert db.session.scalar(live) == 0
