"""Logins by GitHub: without an ID token, its API says who the user is."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from authapp.database.session import db
from authapp.models import ProviderIdentity
from conftest import reconfigured
from factories import Api, all_events, problem
from providers import LOGINS, FakeProvider, begin, fake_provider, finish


@pytest.fixture
def provider(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeProvider]:
    with fake_provider() as made:
        reconfigured(app, monkeypatch, providers={"example": made.settings(kind="github", trust_email=True)})
        yield made


def log_in(api: Api, provider: FakeProvider, path: str = "/login/oauth") -> Any:
    """Log in; GitHub names itself by a path of its own when it sends a user back."""
    answer = {**finish(provider, begin(api)), "iss": f"{provider.issuer}{path}"}
    return api("PUT", LOGINS, json=answer)


def test_an_older_enterprise_server_does_not_name_itself(api: Api, provider: FakeProvider) -> None:
    answer = finish(provider, begin(api))
    del answer["iss"]
    assert api("PUT", LOGINS, json=answer).status_code == 201


def test_the_answer_of_another_issuer_is_refused(app: Flask, api: Api, provider: FakeProvider) -> None:
    problem(log_in(api, provider, "/login"), 401, "provider_login_failed")
    assert [event.details["reason"] for event in all_events(app, "provider.refused")] == [
        "the response is from another issuer"
    ]


def shown(api: Api, provider: FakeProvider) -> tuple[str, str, bool]:
    response = log_in(api, provider)
    assert response.status_code == 201, response.json
    user = api.get("/users/me", response.json["access_token"]).json
    return user["username"], user["email"], bool(user["email_verified_at"])


def test_its_api_says_who_the_user_is(app: Flask, api: Api, provider: FakeProvider) -> None:
    assert "scope=read%3Auser+user%3Aemail" in begin(api)["authorization_url"]
    assert shown(api, provider) == ("octocat", "octocat@example.org", True)
    with app.app_context():
        assert db.session.query(ProviderIdentity.subject).scalar() == "583231"


def test_a_name_that_changes_hands_is_another_user(api: Api, provider: FakeProvider) -> None:
    assert log_in(api, provider).status_code == 201
    provider.profile = {"id": 1, "login": "octocat"}
    problem(log_in(api, provider), 409, "account_exists")


@pytest.mark.parametrize("number", [None, "583231", True, 1.5, [1]], ids=repr)
def test_a_user_without_a_number_is_refused(api: Api, provider: FakeProvider, number: Any) -> None:
    provider.profile = {"id": number, "login": "octocat"}
    problem(log_in(api, provider), 401, "provider_login_failed")


def test_the_primary_address_counts_and_is_verified_if_github_says_so(api: Api, provider: FakeProvider) -> None:
    provider.emails = [
        {"email": "other@example.org", "primary": False, "verified": True},
        {"email": "first@example.org", "primary": True, "verified": False},
    ]
    assert shown(api, provider) == ("octocat", "first@example.org", False)


@pytest.mark.parametrize("emails", [[], {}, None, [7], [{"email": "a@example.org", "verified": True}]], ids=repr)
def test_without_a_primary_address_there_is_no_account(api: Api, provider: FakeProvider, emails: Any) -> None:
    provider.emails = emails
    problem(log_in(api, provider), 401, "provider_login_failed")


def test_the_answer_of_another_issuer_is_refused_before_the_code_is_sent(api: Api, provider: FakeProvider) -> None:
    answer = {**finish(provider, begin(api)), "iss": "https://another.example"}
    problem(api("PUT", LOGINS, json=answer), 401, "provider_login_failed")
    assert provider.paths == []


@pytest.mark.parametrize("token", [None, 7, "", "line\nbreak", "ümlaut"], ids=repr)
def test_an_access_token_that_is_none_is_not_sent(api: Api, provider: FakeProvider, token: Any) -> None:
    provider.lies.response = {"access_token": token}
    problem(log_in(api, provider), 401, "provider_login_failed")
    assert "/api/v3/user" not in provider.paths
