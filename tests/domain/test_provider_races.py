"""Logins by a provider at the same moment, with real transactions."""

from collections import Counter
from typing import Any

import pytest
from flask import Flask

from authapp.database.session import transaction
from authapp.domain.providers.logins import ProviderLogin, ProviderLogins
from authapp.domain.providers.providers import FlowCompletion
from authapp.domain.services import Services
from authapp.errors import LastWayIn, ProviderLoginFailed
from authapp.models import Passkey, ProviderIdentity, Session, User
from authenticator import add_passkey
from domain.concurrently import at_once
from factories import GUEST, Api
from providers import REDIRECT_URI, FakeProvider

pytestmark = pytest.mark.committed
AT_ONCE = 20


def came_back(app: Flask, provider: FakeProvider, **claims: Any) -> FlowCompletion:
    with app.app_context():
        begun = logins(app).start_login("example", REDIRECT_URI)
    return FlowCompletion(begun.flow, **provider.authorize(begun.authorization_url, **claims))


def logins(app: Flask) -> ProviderLogins:
    return Services.of(app).providers.logins


def rows(app: Flask) -> tuple[int, int, int]:
    with app.app_context(), transaction() as session:
        users, identities, sessions = (session.query(each).count() for each in (User, ProviderIdentity, Session))
        return users, identities, sessions


@pytest.mark.parametrize("replays", [False, True], ids=["honest", "accepts codes again"])
def test_one_answer_sent_twenty_times_at_once_makes_one_account_and_one_session(
    app: Flask, provider: FakeProvider, replays: bool
) -> None:
    provider.lies.replays = replays
    answer = came_back(app, provider)
    outcomes = at_once(app, *[lambda: logins(app).log_in("example", answer, GUEST)] * AT_ONCE)
    assert Counter(map(type, outcomes)) == {ProviderLogin: 1, type: AT_ONCE - 1}
    assert outcomes.count(ProviderLoginFailed) == AT_ONCE - 1
    assert rows(app) == (1, 1, 1)


def test_twenty_first_logins_of_one_user_at_once_make_one_account(app: Flask, provider: FakeProvider) -> None:
    answers = [came_back(app, provider) for _ in range(AT_ONCE)]
    outcomes = at_once(app, *[lambda each=each: logins(app).log_in("example", each, GUEST) for each in answers])
    assert Counter(map(type, outcomes)) == {ProviderLogin: AT_ONCE}
    assert [each.is_new for each in outcomes].count(True) == 1
    # What all of them need was fetched by one.
    assert (provider.paths.count("/jwks"), provider.paths.count("/.well-known/openid-configuration")) == (1, 1)
    assert rows(app) == (1, 1, AT_ONCE)


def test_twenty_users_of_one_name_at_once_get_accounts_of_their_own(app: Flask, provider: FakeProvider) -> None:
    answers = [
        came_back(app, provider, sub=str(each), email=f"{each}@example.org", preferred_username="ada")
        for each in range(AT_ONCE)
    ]
    outcomes = at_once(app, *[lambda each=each: logins(app).log_in("example", each, GUEST) for each in answers])
    assert Counter(map(type, outcomes)) == {ProviderLogin: AT_ONCE}
    assert rows(app) == (AT_ONCE, AT_ONCE, AT_ONCE)


def test_of_the_two_last_ways_in_that_are_removed_at_once_one_stays(
    app: Flask, api: Api, provider: FakeProvider
) -> None:
    with app.app_context():
        token = logins(app).log_in("example", came_back(app, provider), GUEST).pair.access_token
    add_passkey(api, token)
    (passkey,) = api.get("/users/me/passkeys", token).get_json()["items"]
    paths = ("/users/me/providers/example", f"/users/me/passkeys/{passkey['id']}")

    def remove(path: str) -> int:
        return Api(app.test_client())("DELETE", path, token).status_code

    assert sorted(at_once(app, *[lambda path=path: remove(path) for path in paths])) == [204, 409]
    with app.app_context(), transaction() as session:
        assert session.query(ProviderIdentity).count() + session.query(Passkey).count() == 1


def test_the_last_way_in_is_not_unlinked(app: Flask, api: Api, provider: FakeProvider) -> None:
    with app.app_context():
        pair = logins(app).log_in("example", came_back(app, provider), GUEST).pair
    response = api("DELETE", "/users/me/providers/example", pair.access_token)
    assert (response.status_code, response.get_json()["code"]) == (409, LastWayIn.code)
