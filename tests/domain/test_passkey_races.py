"""Passkeys at the same moment, with real transactions."""

from collections import Counter
from uuid import UUID

import pytest
from flask import Flask

from authapp.database.session import transaction
from authapp.domain.factors.kinds import FactorAttempt
from authapp.domain.factors.passkey_challenges import PasskeyAnswer
from authapp.domain.services import Services
from authapp.domain.sessions.token_pairs import TokenPair
from authapp.errors import LastWayIn, PasskeyInvalid
from authapp.models import Passkey, User
from authenticator import UP, UV, Authenticator, add_passkey
from domain.concurrently import at_once
from factories import GUEST, Api, a_session

pytestmark = pytest.mark.committed
AT_ONCE = 20


@pytest.fixture
def authenticator(app: Flask, api: Api, user: User) -> Authenticator:
    return add_passkey(api, a_session(app, user).access_token)


def test_one_answer_sent_twenty_times_at_once_starts_one_session(app: Flask, authenticator: Authenticator) -> None:
    login = Services.of(app).factors.passkey_login
    with app.app_context():
        answer = PasskeyAnswer(authenticator.get(login.options()))
    outcomes = at_once(app, *[lambda: login.log_in(answer, GUEST)] * AT_ONCE)
    assert Counter(map(type, outcomes)) == {TokenPair: 1, type: AT_ONCE - 1}
    assert outcomes.count(PasskeyInvalid) == AT_ONCE - 1


def test_one_answer_sent_twenty_times_at_once_proves_one_second_factor(
    app: Flask, user: User, authenticator: Authenticator
) -> None:
    assertions = Services.of(app).factors.passkey_assertions
    with app.app_context():
        answer = authenticator.get(assertions.second_factor_options(user.id, b"login"))

    def prove() -> tuple[str, ...]:
        with transaction():
            return assertions.prove(FactorAttempt(user.id, answer, b"login"), GUEST)

    outcomes = at_once(app, *[prove] * AT_ONCE)
    assert Counter(outcomes) == {("hwk", "user", "mfa"): 1, (): AT_ONCE - 1}


def test_of_a_passkey_and_its_copy_at_once_one_is_accepted(app: Flask, authenticator: Authenticator) -> None:
    login = Services.of(app).factors.passkey_login
    copy = Authenticator(
        key=authenticator.key, credential_id=authenticator.credential_id, user_handle=authenticator.user_handle
    )
    with app.app_context():
        answers = [PasskeyAnswer(each.get(login.options())) for each in (authenticator, copy)]
    outcomes = at_once(app, *[lambda answer=answer: login.log_in(answer, GUEST) for answer in answers])
    assert Counter(map(type, outcomes)) == {TokenPair: 1, type: 1}


def test_of_the_last_two_ways_in_that_are_deleted_at_once_one_stays(
    app: Flask, api: Api, user: User, authenticator: Authenticator
) -> None:
    services = Services.of(app).factors
    with app.app_context():
        pair = services.passkey_login.log_in(PasskeyAnswer(authenticator.get(services.passkey_login.options())), GUEST)
    add_passkey(api, pair.access_token, Authenticator(flags=UP | UV))
    with app.app_context(), transaction() as session:
        session.get_one(User, user.id).password_hash = None
    with app.app_context():
        ids: list[UUID] = [each.id for each in services.passkeys.list(user.id)]
    outcomes = at_once(app, *[lambda id_=id_: services.passkeys.delete(user.id, id_, GUEST, scope=None) for id_ in ids])
    assert Counter(map(str, outcomes)) == {"None": 1, str(LastWayIn): 1}
    with app.app_context(), transaction() as session:
        assert session.query(Passkey).count() == 1
