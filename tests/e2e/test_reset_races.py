"""Resets at the same moment as other requests, over the real server's workers."""

from collections import Counter
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import func, select

from authapp import create_app
from authapp.context import OPERATOR
from authapp.database.session import db
from authapp.domain.services import Services
from authapp.domain.token_purposes import TokenPurpose
from authapp.models import OneTimeToken, User
from conftest import dispose
from databases import Databases
from e2e.processes import Server, environment, with_mail
from e2e.simultaneous import Answer, Request, at_once
from factories import GUEST, PASSWORD, a_session, a_token, a_user, events_of
from settings import MAIL, settings

RACES = 5
NEW = "another good pass phrase"
INVALID = (400, "one_time_token_invalid")
DONE = (204, None)


@pytest.fixture(scope="module")
def variables(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with databases.migrated() as url:
        yield with_mail(environment(url), tmp_path_factory.mktemp("mail"))


@pytest.fixture(scope="module")
def app(variables: dict[str, str]) -> Iterator[Flask]:
    """An application on the server's database, which makes accounts and tokens."""
    app = create_app(settings(database_url=variables["AUTHAPP_DATABASE_URL"], **MAIL))
    yield app
    dispose(app)


def reset(token: str, password: str = NEW) -> Request:
    return "PUT", "/auth/password-resets", "", {"token": token, "new_password": password}


def login(user: User, password: str = PASSWORD) -> Request:
    return "POST", "/auth/login", "", {"username": user.username, "password": password}


def logs_in(server: Server, user: User, password: str) -> bool:
    (answer,) = at_once(server, [login(user, password)])
    assert answer.outcome in {(200, None), (401, "invalid_credentials")}
    return answer.status == 200


def are_dead(server: Server, pairs: list[dict[str, str]]) -> bool:
    requests: list[Request] = [("GET", "/ping", pair["access_token"]) for pair in pairs]
    requests += [("POST", "/auth/refresh", pair["refresh_token"]) for pair in pairs]
    return {answer.outcome for answer in at_once(server, requests)} <= {(401, "token_revoked")}


def test_of_twenty_uses_of_one_token_one_wins(server: Server, app: Flask) -> None:
    for _ in range(RACES):
        user = a_user(app)
        token = a_token(app, user)
        passwords = [f"pass phrase number {number}" for number in range(20)]

        answers = at_once(server, [reset(token, password) for password in passwords])

        assert Counter(answer.outcome for answer in answers) == {DONE: 1, INVALID: 19}
        winner = passwords[[answer.outcome for answer in answers].index(DONE)]
        assert logs_in(server, user, winner)
        assert len(events_of(app, user, "password.reset")) == 1


def test_of_two_resets_with_a_token_each_one_wins_and_nothing_is_left(server: Server, app: Flask) -> None:
    for _ in range(RACES):
        user = a_user(app)
        tokens = [a_token(app, user), a_token(app, user)]

        answers = at_once(server, [reset(token, f"{NEW} {number}") for number, token in enumerate(tokens)])

        assert sorted(answer.status for answer in answers) == [204, 400]
        winner = [answer.status for answer in answers].index(204)
        assert [logs_in(server, user, f"{NEW} {number}") for number in (winner, 1 - winner)] == [True, False]
        with app.app_context():
            assert db.session.scalar(select(func.count()).where(OneTimeToken.user_id == user.id)) == 0


def raced(server: Server, requests: list[Request], place: int) -> tuple[Answer, list[Answer]]:
    """Send the last of ``requests`` at a place among the others; return its answer, and theirs."""
    *others, special = requests
    place %= len(others) + 1
    answers = at_once(server, [*others[:place], special, *others[place:]])
    return answers.pop(place), answers


def test_a_login_with_the_old_password_does_not_outlive_a_reset(server: Server, app: Flask) -> None:
    for number in range(RACES):
        user = a_user(app)
        answer, logins = raced(server, [*[login(user)] * 6, reset(a_token(app, user))], number)

        assert answer.outcome == DONE
        assert {each.outcome for each in logins} <= {(200, None), (401, "invalid_credentials")}
        assert are_dead(server, [each.body for each in logins if each.status == 200])
        assert logs_in(server, user, NEW)


def test_a_refresh_does_not_outlive_a_reset(server: Server, app: Flask) -> None:
    for number in range(RACES):
        user = a_user(app)
        pair = a_session(app, user)
        refresh: Request = ("POST", "/auth/refresh", pair.refresh_token)
        answer, refreshes = raced(server, [*[refresh] * 10, reset(a_token(app, user))], number)

        assert answer.outcome == DONE
        assert {each.outcome for each in refreshes} <= {(200, None), (401, "token_revoked")}
        old = {"access_token": pair.access_token, "refresh_token": pair.refresh_token}
        assert are_dead(server, [old, *(each.body for each in refreshes if each.status == 200)])


def test_a_reset_and_a_disabling_leave_the_account_disabled(server: Server, app: Flask) -> None:
    token = a_session(app, a_user(app, roles=["admin"])).access_token
    for number in range(RACES):
        user = a_user(app)
        disable: Request = ("PATCH", f"/users/{user.id}", token, {"status": "disabled"})
        disabled, (answer,) = raced(server, [reset(a_token(app, user)), disable], number)

        assert disabled.status == 200
        assert answer.outcome in {DONE, INVALID}
        assert not any(logs_in(server, user, password) for password in (PASSWORD, NEW))
        with app.app_context():
            Services.of(app).administration.enable(user.id, OPERATOR)
        assert logs_in(server, user, NEW if answer.outcome == DONE else PASSWORD)


def test_of_a_reset_and_a_rejected_registration_one_wins(server: Server, app: Flask) -> None:
    outcomes: Counter[tuple[int, int]] = Counter()
    for number in range(RACES):
        user = a_user(app)
        token = a_token(app, user, TokenPurpose.VERIFY_EMAIL)
        reject: Request = ("DELETE", "/auth/email-verifications", "", {"token": token})
        rejected, (answer,) = raced(server, [reset(a_token(app, user)), reject], number)

        outcomes[rejected.status, answer.status] += 1
        assert logs_in(server, user, NEW) == (answer.status == 204)
    assert outcomes.keys() <= {(204, 400), (400, 204)}, outcomes


def asked_for(app: Flask, user: User, address: str) -> str:
    """Ask for another address, as the owner does, and return the token of the link to it."""
    with app.app_context():
        Services.of(app).email.address_changes.request(user.id, address, PASSWORD, GUEST)
    return a_token(app, user, TokenPurpose.CHANGE_EMAIL, sent_to=address)


def test_of_a_reset_and_a_change_of_address_one_wins(server: Server, app: Flask) -> None:
    for number in range(RACES):
        user, address = a_user(app), f"moved{number}@example.com"
        body = {"token": asked_for(app, user, address), "password": PASSWORD}
        confirm: Request = ("PUT", "/auth/email-verifications", "", body)
        confirmed, (answer,) = raced(server, [reset(a_token(app, user)), confirm], number)

        assert {confirmed.status, answer.status} == {204, 400}, (confirmed.outcome, answer.outcome)
        with app.app_context():
            stored = db.session.get_one(User, user.id)
            assert (stored.email == address, stored.pending_email) == (confirmed.status == 204, None)
        assert logs_in(server, user, NEW) == (answer.status == 204)


def test_a_reset_leaves_no_address_that_was_asked_for_meanwhile(server: Server, app: Flask) -> None:
    for number in range(RACES):
        user = a_user(app)
        token = a_session(app, user).access_token
        ask: Request = ("PUT", "/users/me/email", token, {"email": f"m{number}@example.com", "password": PASSWORD})
        asked, (answer,) = raced(server, [reset(a_token(app, user)), ask], number)

        assert answer.outcome == DONE
        assert asked.status in {202, 401, 403}, asked.outcome
        with app.app_context():
            assert db.session.get_one(User, user.id).pending_email is None
