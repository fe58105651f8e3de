"""What happens at the same moment, with real transactions."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import func, select, update
from werkzeug.security import generate_password_hash

from authapp import clock
from authapp.context import OPERATOR
from authapp.database.session import db
from authapp.domain.api_keys.api_keys import ApiKeyRequest, TooManyApiKeys
from authapp.domain.passwords.verifier import ConfirmedUser
from authapp.domain.services import Services
from authapp.domain.sessions.sessions import LogoutScope
from authapp.domain.sessions.token_pairs import TokenPair
from authapp.errors import EmailTaken, InvalidCredentials, Refusal, TokenRevoked, UsernameTaken
from authapp.models import ApiKey, User
from authapp.models.api_key import API_KEYS_PER_ACCOUNT
from clocks import set_clocks
from domain.concurrently import at_once
from factories import GUEST, PASSWORD, a_session, a_user, an_api_key

pytestmark = pytest.mark.committed
AT_ONCE = 8  # as many as there are pooled connections


@pytest.mark.parametrize(
    ("same", "refusal"), [({"username": "Ada"}, UsernameTaken), ({"email": "ada@example.com"}, EmailTaken)]
)
def test_of_parallel_registrations_exactly_one_wins(app: Flask, same: dict[str, str], refusal: type[Refusal]) -> None:
    accounts = Services.of(app).accounts

    def registration(number: int) -> Callable[[], object]:
        values = {"username": f"user{number}", "email": f"user{number}@example.com", "password": PASSWORD} | same
        values = {name: value.swapcase() if number % 2 else value for name, value in values.items()}
        return lambda: accounts.register(**values, context=GUEST)

    outcomes = at_once(app, *map(registration, range(AT_ONCE)))
    assert Counter(outcome is refusal for outcome in outcomes) == {False: 1, True: AT_ONCE - 1}
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(User)) == 1


def test_parallel_refreshes_of_one_token_get_one_successor(app: Flask) -> None:
    services = Services.of(app)
    for _ in range(10):
        pair = a_session(app, a_user(app))
        claims = services.tokens.read(pair.refresh_token)
        outcomes = at_once(app, *[lambda claims=claims: services.sessions.refresh(claims, GUEST)] * AT_ONCE)
        pairs = [outcome for outcome in outcomes if isinstance(outcome, TokenPair)]
        assert len(pairs) == AT_ONCE, outcomes
        successors = [services.tokens.read(pair.refresh_token) for pair in pairs]
        assert all(successor == successors[0] for successor in successors)
        with app.app_context():
            services.sessions.refresh(successors[0], GUEST)


def test_a_refresh_that_races_the_end_of_its_session_leaves_no_live_descendant(app: Flask) -> None:
    services = Services.of(app)
    for number in range(24):
        user = a_user(app)
        pair = a_session(app, user)
        access = services.tokens.read(pair.access_token)
        refresh = services.tokens.read(pair.refresh_token)
        ends: list[Callable[[], object]] = [
            lambda access=access: services.sessions.log_out(access, LogoutScope.LOCAL, GUEST),
            lambda user=user: services.administration.disable(user.username, OPERATOR),
            lambda user=user: services.administration.set_password(user.username, "another long sentence", OPERATOR),
            lambda user=user: services.administration.delete(user.username, OPERATOR),
        ]
        outcome, _ = at_once(app, lambda refresh=refresh: services.sessions.refresh(refresh, GUEST), ends[number % 4])
        assert outcome is TokenRevoked or isinstance(outcome, TokenPair)
        descendants = [pair, *([outcome] if isinstance(outcome, TokenPair) else [])]
        with app.app_context():
            for descendant in descendants:
                status = services.principals.token_status(services.tokens.read(descendant.access_token))
                assert status is None or status.revoked


@pytest.mark.parametrize("maker", ["owner", "operator"])
def test_of_parallel_requests_for_keys_no_more_get_one_than_an_account_may_have(app: Flask, maker: str) -> None:
    user, services = a_user(app), Services.of(app)
    for _ in range(API_KEYS_PER_ACCOUNT - 3):
        an_api_key(app, user)
    claims = services.tokens.read(a_session(app, user).access_token)
    with app.app_context():
        status = services.principals.token_status(claims)
    assert status is not None
    context = replace(GUEST, principal=status.principal) if maker == "owner" else OPERATOR
    create = services.api_keys.create_own if maker == "owner" else services.api_keys.create_for
    outcomes = at_once(app, *[lambda: create(user.id, ApiKeyRequest(name="x"), context)] * AT_ONCE)
    assert Counter(outcome is TooManyApiKeys for outcome in outcomes) == {False: 3, True: AT_ONCE - 3}
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(ApiKey)) == API_KEYS_PER_ACCOUNT


def test_a_login_that_races_disabling_leaves_no_live_session(app: Flask) -> None:
    services = Services.of(app)
    for _ in range(16):
        user = a_user(app)
        outcome, _ = at_once(
            app,
            lambda user=user: a_session(app, user),
            lambda user=user: services.administration.disable(user.username, OPERATOR),
        )
        assert outcome is InvalidCredentials or isinstance(outcome, TokenPair)
        if isinstance(outcome, TokenPair):
            with app.app_context():
                status = services.principals.token_status(services.tokens.read(outcome.access_token))
                assert status is not None
                assert status.revoked


def test_an_outdated_hash_is_replaced_once_and_every_login_in_parallel_succeeds(app: Flask) -> None:
    for _ in range(4):
        user = a_user(app)
        with app.app_context():
            db.session.execute(
                update(User).where(User.id == user.id).values(password_hash=generate_password_hash(PASSWORD, "scrypt"))
            )
            db.session.commit()
        outcomes = at_once(app, *[lambda user=user: a_session(app, user)] * 4)
        assert all(isinstance(outcome, TokenPair) for outcome in outcomes), outcomes


def test_a_login_that_replaces_the_hash_does_not_make_the_confirmed_password_wrong(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    services, user = Services.of(app), a_user(app)
    confirm = services.password_verifier.confirm

    def confirm_before_the_hash_is_replaced(*arguments: Any, **named: Any) -> ConfirmedUser:
        confirmed = confirm(*arguments, **named)
        another = generate_password_hash(PASSWORD, "scrypt")
        db.session.execute(update(User).where(User.id == user.id).values(password_hash=another))
        db.session.commit()
        return confirmed

    monkeypatch.setattr(services.password_verifier, "confirm", confirm_before_the_hash_is_replaced)
    with app.app_context():
        services.accounts.change_password(user.id, None, PASSWORD, "another long sentence", GUEST)
    a_session(app, user, "another long sentence")


def test_logouts_of_many_sessions_at_once_do_not_stop_each_other(app: Flask) -> None:
    services = Services.of(app)
    for _ in range(4):
        user = a_user(app)
        claims = [services.tokens.read(a_session(app, user).access_token) for _ in range(AT_ONCE)]
        scopes = [LogoutScope.GLOBAL, LogoutScope.OTHERS] * (AT_ONCE // 2)
        outcomes = at_once(
            app,
            *[
                lambda each=each, scope=scope: services.sessions.log_out(each, scope, GUEST)
                for each, scope in zip(claims, scopes, strict=True)
            ],
        )
        assert outcomes == [None] * AT_ONCE


def test_everything_at_once_on_one_account_ends_without_an_accident(app: Flask) -> None:
    services = Services.of(app)
    for _ in range(6):
        user = a_user(app)
        claims = [services.tokens.read(a_session(app, user).access_token) for _ in range(3)]
        at_once(
            app,
            *[lambda each=each: services.sessions.log_out(each, LogoutScope.LOCAL, GUEST) for each in claims],
            lambda user=user: services.administration.disable(user.username, OPERATOR),
            lambda user=user: services.administration.set_password(user.username, "another long sentence", OPERATOR),
            lambda user=user: services.administration.delete(user.username, OPERATOR),
        )
        with app.app_context():
            assert all(services.principals.token_status(each) is None for each in claims)
            assert db.session.get(User, UUID(claims[0]["sub"])) is None


def test_pruning_on_several_nodes_at_once_removes_each_row_once(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authapp.domain.pruning.BATCH", 7)
    user = a_user(app)
    for _ in range(30):
        a_session(app, user)
    live = a_session(app, user)
    later = clock.now() + timedelta(days=31)
    services = Services.of(app)
    with app.app_context():
        services.sessions.log_out(services.tokens.read(live.access_token), LogoutScope.LOCAL, GUEST)
    set_clocks(monkeypatch, lambda: later)
    still = a_session(app, user)
    outcomes = at_once(app, *[services.pruning.prune] * 4)
    assert sum(outcome["sessions"] for outcome in outcomes) == 31
    assert sum(outcome["blocklisted_tokens"] for outcome in outcomes) == 2
    with app.app_context():
        assert services.principals.token_status(services.tokens.read(still.access_token)) is not None
