"""Logins by a provider: accounts that are made, found, and never taken over."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from authapp.database.session import db, transaction
from authapp.domain.providers import logins
from authapp.models import ProviderIdentity, User, UserStatus
from conftest import reconfigured
from factories import PASSWORD, Api, a_user, all_events, events_of, problem
from factors import an_app
from providers import LOGINS, REDIRECT_URI, FakeProvider, begin, fake_provider, finish, log_in, respond


@pytest.fixture
def provider(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeProvider]:
    with fake_provider() as made:
        configure(app, monkeypatch, made)
        yield made


def configure(app: Flask, monkeypatch: pytest.MonkeyPatch, made: FakeProvider, **changes: Any) -> None:
    of_service = {name: changes.pop(name) for name in ("registration", "email_verification") if name in changes}
    reconfigured(app, monkeypatch, providers={"example": made.settings(**changes)}, **of_service)


def account(api: Api, pair: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = api.get("/users/me", pair["access_token"]).json
    return found


def test_the_first_login_makes_an_account_and_the_next_one_finds_it(
    app: Flask, api: Api, provider: FakeProvider
) -> None:
    first = log_in(api, provider, preferred_username="Ada.L")
    assert first.status_code == 201
    made = account(api, first.json)
    assert (made["username"], made["email"], made["email_verified_at"]) == ("Ada.L", "ada@example.org", None)
    second = log_in(api, provider, preferred_username="somebody else now", email="new@example.org")
    assert second.status_code == 200
    assert account(api, second.json) == {**made, "last_login_at": account(api, second.json)["last_login_at"]}
    sessions = api.get("/users/me/sessions", second.json["access_token"]).json["items"]
    assert [each["amr"] for each in sessions] == [["fed"], ["fed"]]
    assert len(all_events(app, "provider.linked")) == 1
    factors = api.get("/users/me/factors", second.json["access_token"]).json
    (identity,) = factors["providers"]
    assert (factors["password"], identity["provider"], identity["email"]) == (False, "example", "new@example.org")
    assert identity["last_login_at"]


def test_the_providers_are_listed_by_name(api: Api, provider: FakeProvider) -> None:
    assert api.get("/auth/providers").json == {"items": [{"name": "example"}]}


def test_an_account_with_the_address_is_never_opened_by_it(app: Flask, api: Api, provider: FakeProvider) -> None:
    ada = a_user(app, "ada", email="ada@example.org")
    problem(log_in(api, provider), 409, "account_exists")
    problem(log_in(api, provider, email="ADA@Example.org"), 409, "account_exists")
    assert events_of(app, ada, "session.started") == []
    with app.app_context(), transaction() as session:
        assert session.query(ProviderIdentity).count() == 0


def test_an_address_is_verified_only_if_a_trusted_provider_says_so(
    app: Flask, api: Api, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(app, monkeypatch, provider, trust_email=True)
    for number, (claimed, is_verified) in enumerate([(True, True), (False, False), ("true", False), (None, False)]):
        claims = {"sub": f"s{number}", "email": f"u{number}@example.org", "email_verified": claimed}
        assert bool(account(api, log_in(api, provider, **claims).json)["email_verified_at"]) is is_verified


def test_usernames_are_made_from_claims_and_free_of_clashes(app: Flask, api: Api, provider: FakeProvider) -> None:
    a_user(app, "grace")
    cases = [
        ({"preferred_username": "grace"}, "grace-"),
        ({"preferred_username": "GRACE@corp.example"}, "GRACE-"),
        ({"preferred_username": "漢字", "name": "Zoë  Ångström"}, "Zoe--Angstrom"),
        ({"preferred_username": "..", "email": "x@example.org"}, "user"),
        ({"preferred_username": 7}, "u4"),
        ({"preferred_username": "a" * 900}, "a" * 27),
        ({"preferred_username": "a" * 900}, "a" * 27 + "-"),
    ]
    for number, (claims, start) in enumerate(cases):
        user = {"sub": f"s{number}", "email": f"u{number}-{number}@example.org", **claims}
        response = log_in(api, provider, **user)
        assert response.status_code == 201, response.json
        name = account(api, response.json)["username"]
        assert name.startswith(start)
        assert len(name) <= 32


@pytest.mark.parametrize("email", [None, "", "no address", 7, "a@b", "x@" + "y" * 300 + ".example"])
def test_without_a_usable_address_there_is_no_account(app: Flask, api: Api, provider: FakeProvider, email: Any) -> None:
    problem(log_in(api, provider, email=email), 401, "provider_login_failed")
    (reason,) = reasons(app)
    assert reason.endswith("email address.")


def reasons(app: Flask) -> list[str]:
    return [event.details["reason"] for event in all_events(app, "provider.refused")]


def test_a_disabled_account_stays_closed(app: Flask, api: Api, provider: FakeProvider) -> None:
    user_id = account(api, log_in(api, provider).json)["id"]
    with app.app_context(), transaction() as session:
        session.get_one(User, user_id).status = UserStatus.DISABLED
    assert "disabled" not in str(problem(log_in(api, provider), 401, "provider_login_failed"))
    (event,) = all_events(app, "provider.refused")
    assert (str(event.subject_id), event.details["reason"]) == (user_id, "the account is disabled")


def test_a_login_that_others_are_always_faster_than_is_recorded(
    app: Flask, api: Api, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_user(app, "grace")
    monkeypatch.setattr(logins, "free_username", lambda *_: "grace")
    problem(log_in(api, provider), 401, "provider_login_failed")
    assert reasons(app) == ["Other requests were faster."]


def test_where_registration_is_closed_only_linked_users_log_in(
    app: Flask, api: Api, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert log_in(api, provider).status_code == 201
    configure(app, monkeypatch, provider, registration="closed")
    assert log_in(api, provider).status_code == 200
    problem(log_in(api, provider, sub="another", email="b@example.org"), 403, "registration_closed")


@pytest.mark.parametrize("changes", [{"registration": "closed"}, {"email_verification": "required"}])
def test_where_no_account_would_be_made_nobody_learns_who_has_one(
    app: Flask, api: Api, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    a_user(app, "ada", email="ada@example.org")
    configure(app, monkeypatch, provider, **changes)
    answers = [log_in(api, provider, sub=name, email=f"{name}@example.org") for name in ("ada", "nobody")]
    taken, free = (problem(each, 403, each.get_json()["code"]) for each in answers)
    assert (taken["code"], taken["detail"]) == (free["code"], free["detail"])


def test_where_addresses_must_be_verified_no_account_is_made_without(
    app: Flask, api: Api, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(app, monkeypatch, provider, email_verification="required")
    problem(log_in(api, provider), 403, "email_not_verified")
    with app.app_context():
        assert db.session.query(User).count() == 0
    configure(app, monkeypatch, provider, email_verification="required", trust_email=True)
    assert log_in(api, provider).status_code == 201


def test_a_second_factor_is_asked_for_as_after_a_password(app: Flask, api: Api, provider: FakeProvider) -> None:
    made = account(api, log_in(api, provider).json)
    with app.app_context():
        user = db.session.get_one(User, UUID(made["id"]))
    an_app(app, user)
    refused = problem(log_in(api, provider), 401, "second_factor_required")
    assert "totp" in refused["factors"]


def test_a_flow_is_good_for_one_login(app: Flask, api: Api, provider: FakeProvider) -> None:
    begun = begin(api)
    answer = finish(provider, begun)
    assert api("PUT", LOGINS, json=answer).status_code == 201
    provider.lies.replays = True
    problem(api("PUT", LOGINS, json=answer), 401, "provider_login_failed")
    again = finish(provider, begun)
    problem(api("PUT", LOGINS, json=again), 401, "provider_login_failed")
    assert reasons(app) == ["The flow was used before."] * 2


def test_a_redirect_uri_is_compared_exactly(api: Api, provider: FakeProvider) -> None:
    for wrong in (
        f"{REDIRECT_URI}/",
        f"{REDIRECT_URI}?x=1",
        "https://app.example.com/Callback",
        "https://evil.example",
    ):
        response = api.post(LOGINS, {"redirect_uri": wrong})
        refused = problem(response, 422, "validation_failed")
        assert refused["errors"][0]["pointer"] == "#/redirect_uri"


def test_a_client_without_a_secret_proves_itself_by_pkce_alone(
    app: Flask, api: Api, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.is_public = True
    configure(app, monkeypatch, provider, client_secret=None)
    assert log_in(api, provider).status_code == 201


def test_an_unknown_provider_is_not_found(api: Api, provider: FakeProvider) -> None:
    problem(api.post("/auth/providers/other/logins", {"redirect_uri": REDIRECT_URI}), 404, "not_found")


def test_an_account_of_a_provider_has_no_password(app: Flask, api: Api, provider: FakeProvider) -> None:
    made = account(api, log_in(api, provider).json)
    problem(api.log_in(made["username"], PASSWORD), 401, "invalid_credentials")


def test_an_address_that_is_not_in_the_id_token_is_asked_for(
    app: Flask, api: Api, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(app, monkeypatch, provider, trust_email=True)
    provider.lies.metadata = {"userinfo_endpoint": f"{provider.issuer}/userinfo"}
    provider.lies.drop = ("email", "email_verified")
    provider.userinfo = {"sub": "248289761001", "email": "ada@example.org", "email_verified": True, "nickname": "ada"}
    made = log_in(api, provider)
    assert made.status_code == 201
    shown = account(api, made.json)
    assert (shown["username"], shown["email"], bool(shown["email_verified_at"])) == ("ada", "ada@example.org", True)
    provider.userinfo["sub"] = "another"
    problem(log_in(api, provider), 401, "provider_login_failed")
    provider.lies.drop = ()
    assert log_in(api, provider).status_code == 200
    assert provider.paths.count("/userinfo") == 2


def test_an_address_that_is_null_in_the_id_token_is_asked_for(
    app: Flask, api: Api, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(app, monkeypatch, provider)
    provider.lies.metadata = {"userinfo_endpoint": f"{provider.issuer}/userinfo"}
    provider.lies.claims = {"email": None}
    provider.userinfo = {"sub": "248289761001", "email": "ada@example.org"}
    assert account(api, log_in(api, provider).json)["email"] == "ada@example.org"


def test_who_is_linked_logs_in_while_the_address_cannot_be_asked_for(
    app: Flask, api: Api, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert log_in(api, provider).status_code == 201
    provider.lies.metadata = {"userinfo_endpoint": f"{provider.issuer}/userinfo"}
    configure(app, monkeypatch, provider)  # its discovery document is fetched anew
    provider.lies.answers["/userinfo"] = lambda handler: respond(handler, {}, 500)
    provider.lies.drop = ("email", "email_verified")
    again = log_in(api, provider)
    assert again.status_code == 200
    (identity,) = api.get("/users/me/factors", again.json["access_token"]).json["providers"]
    assert identity["email"] == "ada@example.org"
    problem(log_in(api, provider, sub="another"), 401, "provider_login_failed")


def test_an_address_is_not_verified_by_the_word_of_another_document(
    app: Flask, api: Api, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(app, monkeypatch, provider, trust_email=True)
    provider.lies.metadata = {"userinfo_endpoint": f"{provider.issuer}/userinfo"}
    provider.lies.drop = ("email",)  # and email_verified stays
    provider.userinfo = {"sub": "248289761001", "email": "victim@example.org"}
    assert account(api, log_in(api, provider).json)["email_verified_at"] is None
