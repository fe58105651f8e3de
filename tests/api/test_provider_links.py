"""Linking one's own account with a user of a provider, and unlinking it."""

from flask import Flask

from authapp.database.session import db, transaction
from authapp.domain.audit import EventType
from authapp.domain.factors.kinds import factor_kinds
from authapp.models import ProviderIdentity, User
from clocks import Time
from factories import Api, a_session, a_user, events_of, mails, problem
from providers import LINK, LOGINS, REDIRECT_URI, FakeProvider, begin, finish, log_in


def link(api: Api, provider: FakeProvider, token: str, **claims: str) -> None:
    response = api("PUT", LINK, token, json=finish(provider, begin(api, token), **claims))
    assert response.status_code == 200, response.get_json()
    assert response.get_json()["provider"] == "example"


def test_a_linked_provider_logs_in_to_the_account(
    app: Flask, api: Api, user: User, token: str, provider: FakeProvider
) -> None:
    other = a_session(app, user).access_token
    link(api, provider, token, email="elsewhere@example.org")
    problem(api.get("/users/me", other), 401, "token_revoked")
    pair = log_in(api, provider, email="elsewhere@example.org")
    assert pair.status_code == 200
    assert api.get("/users/me", pair.json["access_token"]).json["id"] == str(user.id)
    assert len(events_of(app, user, "provider.linked")) == 1
    assert ("factor_added", user.email, user.id) in mails(app)


def test_linking_does_not_need_the_same_address_and_verifies_none(
    app: Flask, api: Api, user: User, token: str, provider: FakeProvider
) -> None:
    link(api, provider, token, email=user.email)
    assert api.get("/users/me", token).json["email_verified_at"] is None


def test_a_login_must_be_recent(api: Api, token: str, provider: FakeProvider, time: Time) -> None:
    time.passes(seconds=301)
    body = {"redirect_uri": REDIRECT_URI}
    problem(api.post(LINK, body, token), 401, "step_up_required")


def test_a_flow_that_links_is_good_in_its_session_alone_and_never_logs_in(
    app: Flask, api: Api, user: User, token: str, provider: FakeProvider
) -> None:
    answer = finish(provider, begin(api, token))
    problem(api("PUT", LOGINS, json=answer), 401, "provider_login_failed")
    problem(api("PUT", LINK, a_session(app, user).access_token, json=answer), 401, "provider_login_failed")
    thief = a_session(app, a_user(app, "mallory")).access_token
    problem(api("PUT", LINK, thief, json=answer), 401, "provider_login_failed")
    # A link of somebody else's login is no link of mine either.
    problem(api("PUT", LINK, token, json=finish(provider, begin(api))), 401, "provider_login_failed")
    assert api("PUT", LINK, token, json=answer).status_code == 200


def test_a_user_of_a_provider_belongs_to_one_account_and_an_account_has_one_of_each(
    app: Flask, api: Api, token: str, provider: FakeProvider
) -> None:
    answer = finish(provider, begin(api, token), sub="another")
    link(api, provider, token)
    problem(api("PUT", LINK, token, json=answer), 409, "provider_already_linked")
    problem(api.post(LINK, {"redirect_uri": REDIRECT_URI}, token), 409, "provider_already_linked")
    other = a_session(app, a_user(app, "grace")).access_token
    taken = finish(provider, begin(api, other))
    problem(api("PUT", LINK, other, json=taken), 409, "provider_already_linked")


def test_a_flow_that_linked_links_no_second_time(api: Api, token: str, provider: FakeProvider) -> None:
    provider.lies.replays = True
    answer = finish(provider, begin(api, token))
    assert api("PUT", LINK, token, json=answer).status_code == 200
    assert api("DELETE", LINK, token).status_code == 204
    problem(api("PUT", LINK, token, json=answer), 401, "provider_login_failed")


def test_unlinking_ends_the_logins_by_the_provider(
    app: Flask, api: Api, user: User, token: str, provider: FakeProvider
) -> None:
    problem(api("DELETE", LINK, token), 404, "not_found")
    link(api, provider, token)
    assert api("DELETE", LINK, token).status_code == 204
    assert api.get("/users/me/factors", token).json["providers"] == []
    assert [each.type for each in events_of(app, user, "provider.linked", "provider.unlinked")] == [
        "provider.linked",
        "provider.unlinked",
    ]
    assert log_in(api, provider, email="new@example.org").status_code == 201


def test_sessions_are_kept_if_that_is_asked(
    app: Flask, api: Api, user: User, token: str, provider: FakeProvider
) -> None:
    other = a_session(app, user).access_token
    answer = finish(provider, begin(api, token))
    assert api("PUT", f"{LINK}?sessions=keep", token, json=answer).status_code == 200
    assert api.get("/users/me", other).status_code == 200
    assert api("DELETE", f"{LINK}?sessions=keep", token).status_code == 204
    assert api.get("/users/me", other).status_code == 200


def test_an_owner_who_gets_the_account_back_gets_it_without_the_provider(
    app: Flask, api: Api, user: User, token: str, provider: FakeProvider
) -> None:
    link(api, provider, token)
    delete = factor_kinds["provider"].delete
    assert delete is not None
    with app.app_context(), transaction():
        assert delete(user.id, None) == 1
    with app.app_context():
        assert db.session.query(ProviderIdentity).count() == 0
    assert EventType.PROVIDER_LINKED in {each.type for each in events_of(app, user)}
