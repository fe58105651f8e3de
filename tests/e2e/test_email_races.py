"""Links and codes at the same moment, on the real server with several workers."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from flask import Flask
from sqlalchemy import func, select

from authapp import create_app
from authapp.context import OPERATOR
from authapp.database.session import db, transaction
from authapp.domain import one_time_tokens
from authapp.domain.email.login_codes import MAX_GUESSES
from authapp.domain.services import Services
from authapp.domain.token_purposes import TokenPurpose
from authapp.errors import EmailTaken, OneTimeTokenInvalid, TooManyRequests, WrongPassword
from authapp.models import OneTimeToken, OutgoingMail, Session, User
from authapp.security.one_time_codes import code_hash
from conftest import dispose
from domain.concurrently import at_once
from e2e.processes import Server
from factories import GUEST, PASSWORD, a_user
from settings import settings

AT_ONCE = 20
ROUNDS = 5
CODE, WRONG = "12345678", "87654321"
LOGIN_LINKS = "/api/v1/auth/login-links"


@pytest.fixture
def neighbour(server: Server) -> Iterator[Flask]:
    """An application on the database of the server, which stores what the server is to find."""
    app = create_app(settings(database_url=server.database_url))
    yield app
    dispose(app)


def sent_link(app: Flask, server: Server, user: User) -> tuple[str, str]:
    """Request a login link from the server, and send it as delivery does; return the challenge and the token."""
    response = server.call("POST", LOGIN_LINKS, json={"email": user.email})
    assert response.status_code == 202, response.text
    with app.app_context(), transaction():
        newest = select(OutgoingMail.challenge_hash).where(OutgoingMail.kind == "login_link")
        challenge_hash = db.session.scalar(newest.order_by(OutgoingMail.id.desc()).limit(1))
        token = one_time_tokens.issue(
            user.id,
            TokenPurpose.LOGIN,
            sent_to=user.email,
            challenge_hash=challenge_hash,
            code_hash=code_hash(challenge_hash or b"", CODE),
        )
    return response.json()["challenge"], token


def calls_at_once(calls: list[Callable[[], requests.Response]]) -> list[int]:
    """Send the requests at the same moment, and return their statuses."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], requests.Response]) -> int:
        barrier.wait()
        return call().status_code

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def sessions_of(app: Flask, user: User) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(Session).where(Session.user_id == user.id)) or 0


@pytest.mark.parametrize("way", ["token", "code"])
def test_of_twenty_who_use_one_link_at_once_one_logs_in(neighbour: Flask, server: Server, way: str) -> None:
    for _ in range(ROUNDS):
        user = a_user(neighbour)
        challenge, token = sent_link(neighbour, server, user)
        body = {"challenge": challenge, way: token if way == "token" else CODE}
        statuses = calls_at_once([lambda body=body: server.call("PUT", LOGIN_LINKS, json=body)] * AT_ONCE)
        # On a busy machine one of them may wait for the account for too long, and is then refused for a while.
        assert statuses.count(200) == 1, Counter(statuses)
        assert set(statuses) <= {200, 400, 503}
        assert sessions_of(neighbour, user) == 1


def test_of_twenty_wrong_codes_at_once_five_are_compared(neighbour: Flask, server: Server) -> None:
    for _ in range(ROUNDS):
        user = a_user(neighbour)
        challenge, _ = sent_link(neighbour, server, user)
        wrong = {"challenge": challenge, "code": WRONG}
        statuses = calls_at_once([lambda body=wrong: server.call("PUT", LOGIN_LINKS, json=body)] * AT_ONCE)
        assert Counter(statuses) == {400: AT_ONCE}
        right = {"challenge": challenge, "code": CODE}
        assert server.call("PUT", LOGIN_LINKS, json=right).status_code == 400
        with neighbour.app_context():
            failures = select(OneTimeToken.failures).where(OneTimeToken.user_id == user.id)
            assert db.session.scalars(failures).all() == [MAX_GUESSES]


@pytest.mark.parametrize("event", ["disable", "new password"])
def test_a_link_that_races_the_end_of_the_account_leaves_no_session_alive(
    neighbour: Flask, server: Server, event: str
) -> None:
    administration = Services.of(neighbour).administration
    for _ in range(ROUNDS):
        user = a_user(neighbour)
        challenge, token = sent_link(neighbour, server, user)
        barrier, pairs = threading.Barrier(2), []

        def log_in(challenge: str = challenge, token: str = token, barrier: Any = barrier, pairs: Any = pairs) -> None:
            barrier.wait()
            response = server.call("PUT", LOGIN_LINKS, json={"challenge": challenge, "token": token})
            assert response.status_code in {200, 400}, response.text
            pairs += [response.json()] if response.status_code == 200 else []

        thread = threading.Thread(target=log_in)
        thread.start()
        barrier.wait()
        with neighbour.app_context():
            if event == "disable":
                administration.disable(user.id, OPERATOR)
            else:
                administration.set_password(user.id, "another long sentence", OPERATOR)
        thread.join()
        for pair in pairs:
            assert server.call("GET", "/api/v1/ping", pair["access_token"]).status_code == 401


def pending(app: Flask, user: User, address: str) -> str:
    """Ask for another address, and return the token of the link to it."""
    services = Services.of(app)
    with app.app_context():
        services.email.address_changes.request(user.id, address, PASSWORD, GUEST)
        with transaction():
            return one_time_tokens.issue(user.id, TokenPurpose.CHANGE_EMAIL, sent_to=address)


def stored(app: Flask, user: User) -> User:
    with app.app_context():
        return db.session.get_one(User, user.id, populate_existing=True)


@pytest.mark.committed
def test_of_twenty_who_confirm_one_change_at_once_one_does(app: Flask) -> None:
    user, change = a_user(app), Services.of(app).email.link_confirmations
    token = pending(app, user, "moved@example.com")
    outcomes = at_once(app, *[lambda: change.confirm(token, PASSWORD, GUEST)] * AT_ONCE)
    # Right passwords are counted before they are compared, so some are asked to wait.
    assert (outcomes.count(None), set(outcomes) <= {None, OneTimeTokenInvalid, TooManyRequests}) == (1, True), outcomes
    assert stored(app, user).email == "moved@example.com"
    with app.app_context():
        notices = select(func.count()).select_from(OutgoingMail).where(OutgoingMail.kind == "email_changed")
        assert db.session.scalar(notices) == 1


@pytest.mark.committed
def test_of_two_accounts_that_confirm_one_address_at_once_one_gets_it(app: Flask) -> None:
    change = Services.of(app).email.link_confirmations
    for number in range(ROUNDS):
        address = f"wanted{number}@example.com"
        tokens = [pending(app, a_user(app), address) for _ in range(2)]
        outcomes = at_once(app, *[lambda token=token: change.confirm(token, PASSWORD, GUEST) for token in tokens])
        assert Counter(outcomes) == {None: 1, EmailTaken: 1}


@pytest.mark.committed
@pytest.mark.parametrize("event", ["disable", "new password"])
def test_a_change_that_races_what_voids_its_link_comes_before_it_or_not_at_all(app: Flask, event: str) -> None:
    services = Services.of(app)
    ends: dict[str, Callable[[User], object]] = {
        "disable": lambda user: services.administration.disable(user.id, OPERATOR),
        "new password": lambda user: services.administration.set_password(user.id, "another long sentence", OPERATOR),
    }
    for number in range(ROUNDS):
        user, address = a_user(app), f"moved{number}@example.com"
        token = pending(app, user, address)
        outcome, _ = at_once(
            app,
            lambda token=token: services.email.link_confirmations.confirm(token, PASSWORD, GUEST),
            lambda user=user: ends[event](user),
        )
        # WrongPassword: the new one came between the token that was found and the password that was looked at.
        assert outcome in ({None} if stored(app, user).email == address else {OneTimeTokenInvalid, WrongPassword})


@pytest.mark.committed
def test_an_undo_that_races_another_change_wins(app: Flask) -> None:
    services = Services.of(app)
    for number in range(ROUNDS):
        user = a_user(app)
        with app.app_context():
            services.email.link_confirmations.confirm(pending(app, user, f"thief{number}@example.com"), PASSWORD, GUEST)
            with transaction():
                undo = one_time_tokens.issue(user.id, TokenPurpose.UNDO_EMAIL, sent_to=user.email)
        more = pending(app, user, f"more{number}@example.com")
        outcome, other = at_once(
            app,
            lambda undo=undo: services.email.link_confirmations.confirm(undo, None, GUEST),
            lambda more=more: services.email.link_confirmations.confirm(more, PASSWORD, GUEST),
        )
        assert (outcome, other in {None, OneTimeTokenInvalid, WrongPassword}) == (None, True)
        after = stored(app, user)
        assert (after.email, after.password_hash) == (user.email, None)


@pytest.mark.committed
def test_two_who_ask_for_another_address_at_once_leave_one_that_is_pending(app: Flask) -> None:
    user, change = a_user(app), Services.of(app).email.address_changes
    addresses = ["first@example.com", "second@example.com"]
    ask = [lambda address=address: change.request(user.id, address, PASSWORD, GUEST) for address in addresses]
    outcomes = at_once(app, *ask)
    assert set(outcomes) <= {None, WrongPassword}
    assert stored(app, user).pending_email in addresses
