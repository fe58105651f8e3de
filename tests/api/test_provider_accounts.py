"""Accounts of providers: what happens to them meanwhile, whose they become, and what is left of them."""

from collections.abc import Callable
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from authapp.context import OPERATOR
from authapp.database.session import db, transaction
from authapp.domain import hooks
from authapp.domain.email import email_verifications
from authapp.domain.services import Services
from authapp.domain.token_purposes import TokenPurpose
from authapp.domain.users.administration import Changes
from authapp.models import ProviderIdentity, Session, User, UserStatus
from authapp.security import base64url
from authenticator import add_passkey
from conftest import reconfigured
from factories import GUEST, Api, a_session, a_token, a_user, all_events, mails, problem
from factors import an_app, second_step
from providers import LINK, LOGINS, FakeProvider, begin, finish, forget_keys, log_in, respond

NEW = "another good pass phrase"
Act = Callable[[Flask, UUID], Any]


def account_of(app: Flask, api: Api, pair: dict[str, Any]) -> User:
    with app.app_context():
        return db.session.get_one(User, UUID(api.get("/users/me", pair["access_token"]).json["id"]))


def count(app: Flask, model: Any) -> int:
    with app.app_context():
        return int(db.session.query(model).count())


def disable(app: Flask, user_id: UUID) -> None:
    Services.of(app).administration.change(user_id, Changes(status=UserStatus.DISABLED), OPERATOR)


def delete(app: Flask, user_id: UUID) -> None:
    Services.of(app).administration.delete(user_id, OPERATOR)


def rename(app: Flask, user_id: UUID) -> None:
    Services.of(app).administration.change(user_id, Changes(username="renamed"), OPERATOR)


@pytest.mark.parametrize("act", [disable, delete, rename])
def test_an_account_that_is_changed_before_the_session_starts_is_not_logged_in_to(
    app: Flask, api: Api, provider: FakeProvider, act: Act
) -> None:
    user = account_of(app, api, log_in(api, provider).json)
    sessions = count(app, Session)

    def receive(_app: object, **_: object) -> None:
        act(app, user.id)

    with hooks.before_session_start.connected_to(receive, app):
        problem(log_in(api, provider), 401, "provider_login_failed")
    assert count(app, Session) <= sessions
    (event,) = all_events(app, "login.refused")
    assert event.details == {"provider": "example", "code": "provider_login_failed"}


def test_an_account_that_is_disabled_while_the_provider_is_asked_is_not_logged_in_to(
    app: Flask, api: Api, provider: FakeProvider
) -> None:
    user = account_of(app, api, log_in(api, provider).json)
    answer = finish(provider, begin(api))

    def answer_later(handler: BaseHTTPRequestHandler) -> None:
        with app.app_context():
            disable(app, user.id)
        respond(handler, {"keys": [provider.public_jwk()]})

    forget_keys(app)
    provider.lies.answers["/jwks"] = answer_later
    problem(api("PUT", LOGINS, json=answer), 401, "provider_login_failed")


def test_a_deleted_account_leaves_no_identity_and_its_user_begins_anew(
    app: Flask, api: Api, provider: FakeProvider
) -> None:
    first = log_in(api, provider)
    gone = account_of(app, api, first.json)
    assert api("DELETE", "/users/me", first.json["access_token"], json={}).status_code == 204
    assert count(app, ProviderIdentity) == 0
    again = log_in(api, provider)
    assert again.status_code == 201
    assert account_of(app, api, again.json).id != gone.id


def test_the_owner_of_the_address_gets_an_account_without_the_thiefs_provider(
    app: Flask, api: Api, provider: FakeProvider
) -> None:
    """Trojan identifier (Sudhodanan and Paverd): the thief has somebody else's address at the provider."""
    thief = log_in(api, provider, email="victim@example.com")
    user = account_of(app, api, thief.json)
    with app.app_context():
        Services.of(app).email.password_resets.complete(a_token(app, user), NEW, GUEST)
    assert count(app, ProviderIdentity) == 0
    problem(api.get("/users/me", thief.json["access_token"]), 401, "token_revoked")
    problem(log_in(api, provider, email="victim@example.com"), 409, "account_exists")
    assert a_session(app, user, NEW)


def test_a_provider_that_a_thief_linked_with_a_never_verified_account_goes_with_a_login_by_mail(
    app: Flask, api: Api, provider: FakeProvider
) -> None:
    user = a_user(app, "thief", email="victim@example.com")
    token = a_session(app, user).access_token
    assert api("PUT", LINK, token, json=finish(provider, begin(api, token))).status_code == 200
    challenge = api.post("/auth/login-links", {"email": user.email}).json["challenge"]
    digest = sha256(base64url.decode(challenge)).digest()
    link = a_token(app, user, TokenPurpose.LOGIN, challenge_hash=digest)
    assert api("PUT", "/auth/login-links", json={"challenge": challenge, "token": link}).status_code == 200
    assert count(app, ProviderIdentity) == 0


def test_the_owner_of_a_verified_account_keeps_the_provider_after_a_reset(
    app: Flask, api: Api, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconfigured(app, monkeypatch, providers={"example": provider.settings(trust_email=True)})
    user = account_of(app, api, log_in(api, provider).json)
    with app.app_context():
        Services.of(app).email.password_resets.complete(a_token(app, user), NEW, GUEST)
    assert log_in(api, provider).status_code == 200


def test_a_provider_that_trusts_itself_verifies_no_account_that_is_there(
    app: Flask, api: Api, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert log_in(api, provider).status_code == 201
    reconfigured(app, monkeypatch, providers={"example": provider.settings(trust_email=True)})
    pair = log_in(api, provider)
    assert api.get("/users/me", pair.json["access_token"]).json["email_verified_at"] is None


def test_where_addresses_must_be_verified_an_account_that_is_not_waits(
    app: Flask, api: Api, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert log_in(api, provider).status_code == 201
    providers = {"example": provider.settings()}
    reconfigured(app, monkeypatch, providers=providers, email_verification="required")
    with hooks.before_session_start.connected_to(email_verifications._require_verified, app):
        problem(log_in(api, provider), 403, "email_not_verified")


def test_a_new_account_gets_a_link(
    app: Flask, api: Api, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconfigured(app, monkeypatch, providers={"example": provider.settings()}, email_verification="optional")
    with hooks.user_creating.connected_to(Services.of(app).email.notices.store_verification, app):
        assert log_in(api, provider).status_code == 201
    assert [(kind, address) for kind, address, _ in mails(app)] == [("verify_email", "ada@example.org")]


def test_a_login_with_a_second_factor_says_both(app: Flask, api: Api, provider: FakeProvider) -> None:
    user = account_of(app, api, log_in(api, provider).json)
    phone = an_app(app, user)
    challenge = problem(log_in(api, provider), 401, "second_factor_required")["challenge"]
    response = second_step(api, challenge, phone.code(1))
    assert response.status_code == 200, response.json
    sessions = api.get("/users/me/sessions", response.json["access_token"]).json["items"]
    assert sessions[0]["amr"] == ["fed", "otp", "mfa"]


def test_a_session_without_the_second_factor_links_nothing(app: Flask, api: Api, provider: FakeProvider) -> None:
    user = a_user(app)
    token = a_session(app, user).access_token
    answer = finish(provider, begin(api, token))
    an_app(app, user)
    problem(api("PUT", LINK, token, json=answer), 401, "step_up_required")
    assert count(app, ProviderIdentity) == 0


def test_a_provider_is_unlinked_where_a_passkey_is_left(app: Flask, api: Api, provider: FakeProvider) -> None:
    token = log_in(api, provider).json["access_token"]
    problem(api("DELETE", LINK, token), 409, "last_way_in")
    add_passkey(api, token)
    assert api("DELETE", LINK, token).status_code == 204


def test_a_provider_is_a_way_in_when_the_last_passkey_goes(app: Flask, api: Api, provider: FakeProvider) -> None:
    token = log_in(api, provider).json["access_token"]
    add_passkey(api, token)
    (passkey,) = api.get("/users/me/passkeys", token).json["items"]
    assert api("DELETE", f"/users/me/passkeys/{passkey['id']}", token).status_code == 204
    with app.app_context(), transaction() as session:
        assert session.query(ProviderIdentity).count() == 1


def test_who_has_lost_the_second_factors_keeps_the_provider(app: Flask, api: Api, provider: FakeProvider) -> None:
    user = account_of(app, api, log_in(api, provider).json)
    an_app(app, user)
    with app.app_context():
        Services.of(app).factors.resets.reset(user.id, OPERATOR)
    assert log_in(api, provider).status_code == 200


def test_the_link_in_the_mail_about_a_provider_that_a_thief_linked_removes_it(
    app: Flask, api: Api, provider: FakeProvider
) -> None:
    user = a_user(app)
    token = a_session(app, user).access_token
    assert api("PUT", LINK, token, json=finish(provider, begin(api, token))).status_code == 200
    undo = a_token(app, user, TokenPurpose.UNDO_FACTORS)
    assert api("PUT", "/auth/email-verifications", json={"token": undo}).status_code == 204
    assert count(app, ProviderIdentity) == 0
    problem(api.get("/users/me", token), 401, "token_revoked")


def test_an_export_has_the_identities(api: Api, provider: FakeProvider) -> None:
    export = api.get("/users/me/export", log_in(api, provider).json["access_token"]).json
    (identity,) = export["factors"]["providers"]
    assert (identity["provider"], identity["email"]) == ("example", "ada@example.org")
    assert "provider.linked" in {event["type"] for event in export["activity"]["items"]}
