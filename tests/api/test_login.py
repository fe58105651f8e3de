"""POST /auth/login."""

from datetime import datetime

import jwt
import pytest
from flask import Flask
from sqlalchemy import select, update
from werkzeug.security import generate_password_hash

from authapp.context import OPERATOR
from authapp.database.session import db
from authapp.domain.services import Services
from authapp.models import Session, User
from factories import GUEST, PASSWORD, Api, a_user, problem


@pytest.mark.parametrize("name", ["Ada", "ada", "ADA", "ada@example.com", "Ada@Example.com"])
def test_a_user_logs_in_by_username_or_email(app: Flask, api: Api, name: str) -> None:
    a_user(app, "Ada")
    response = api.log_in(name)
    pair = response.get_json()
    assert response.status_code == 200
    assert list(pair) == ["access_token", "token_type", "expires_in", "refresh_token", "refresh_expires_in"]
    assert (pair["token_type"], pair["expires_in"], pair["refresh_expires_in"]) == ("Bearer", 900, 2_592_000)
    assert api.get("/users/me", pair["access_token"]).get_json()["username"] == "Ada"


def test_the_tokens_say_what_the_contract_says(app: Flask, api: Api) -> None:
    user = a_user(app)
    pair = api.log_in(user.username).get_json()
    headers = [jwt.get_unverified_header(pair[kind]) for kind in ("access_token", "refresh_token")]
    access, refresh = (
        jwt.decode(pair[kind], options={"verify_signature": False}) for kind in ("access_token", "refresh_token")
    )
    kid = Services.of(app).tokens.keys.signing.kid
    assert headers == [{"alg": "ES256", "kid": kid, "typ": typ} for typ in ("at+jwt", "rt+jwt")]
    names = {
        "iss",
        "aud",
        "sub",
        "iat",
        "nbf",
        "exp",
        "jti",
        "sid",
        "type",
        "fresh",
        "client_id",
        "auth_time",
        "amr",
        "acr",
    }
    assert set(access) == set(refresh) == names
    assert (access["iss"], access["aud"], access["sub"]) == ("https://auth.example.com", "authapp", str(user.id))
    assert (access["type"], access["fresh"], refresh["type"], refresh["fresh"]) == ("access", True, "refresh", False)
    assert access["sid"] == refresh["sid"]
    assert access["acr"] == refresh["acr"] == "sfa"
    assert (access["client_id"], access["amr"]) == (refresh["client_id"], refresh["amr"]) == ("authapp", ["pwd"])
    assert access["auth_time"] == refresh["auth_time"] <= access["iat"]
    assert access["jti"] != refresh["jti"]


def test_a_login_starts_a_session_and_is_recorded(app: Flask, api: Api) -> None:
    user = a_user(app)
    token = api.post(
        "/auth/login",
        {"username": user.username, "password": PASSWORD},
        headers={"User-Agent": "x" * 1000},
        environ_base={"REMOTE_ADDR": "203.0.113.9"},
    ).get_json()["access_token"]
    me = api.get("/users/me", token).get_json()
    assert datetime.fromisoformat(me["last_login_at"]) >= datetime.fromisoformat(me["created_at"])
    with app.app_context():
        session = db.session.scalars(select(Session).where(Session.user_id == user.id)).one()
    assert (session.ip_address, session.user_agent, session.ended_at) == ("203.0.113.9", "x" * 256, None)


def test_missing_disabled_and_wrong_get_the_same_answer(app: Flask, api: Api) -> None:
    a_user(app, "present")
    a_user(app, "disabled")
    with app.app_context():
        Services.of(app).administration.disable("disabled", OPERATOR)
    answers = [
        api.log_in("present", "not the password"),
        api.log_in("disabled", PASSWORD),
        api.log_in("disabled", "not the password"),
        api.log_in("absent", PASSWORD),
        api.log_in("absent@example.com", PASSWORD),
        api.log_in("", ""),
    ]
    ignored = {"X-Request-ID", "Content-Length"}
    seen = set()
    for answer in answers:
        body = problem(answer, 401, "invalid_credentials")
        del body["request_id"]
        headers = tuple((name, value) for name, value in answer.headers if name not in ignored)
        seen.add((str(body), headers))
    assert len(seen) == 1


@pytest.mark.parametrize("method", ["scrypt", "pbkdf2:sha256:1000"])
def test_a_hash_from_elsewhere_opens_the_account_and_is_replaced(app: Flask, api: Api, method: str) -> None:
    user = a_user(app)
    with app.app_context():
        foreign = generate_password_hash(PASSWORD, method)
        db.session.execute(update(User).where(User.id == user.id).values(password_hash=foreign))
        db.session.commit()
    problem(api.log_in(user.username, "wrong"), 401, "invalid_credentials")
    assert api.log_in(user.username).status_code == 200
    with app.app_context():
        stored = db.session.scalars(select(User.password_hash).where(User.id == user.id)).one()
    assert stored.startswith("$argon2id$")
    assert api.log_in(user.username).status_code == 200


@pytest.mark.parametrize(
    ("registered", "typed"),
    [
        ("x@xn--mnchen-3ya.de", "x@xn--mnchen-3ya.de"),
        ("x@xn--mnchen-3ya.de", "X@M\u00dcNCHEN.DE"),
        ("x@\uff45xample.com", "x@\uff45xample.com"),
        ("\u00e9@example.com", "E\u0301@example.com"),
    ],
)
def test_an_address_opens_the_account_as_it_was_typed_at_registration(
    app: Flask, api: Api, registered: str, typed: str
) -> None:
    a_user(app, "Ada", email=registered)
    assert api.log_in(typed).status_code == 200


def test_a_password_changed_while_it_was_checked_opens_nothing(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = a_user(app)
    services = Services.of(app)
    with app.app_context():
        result = services.password_verifier.verify(user.username, PASSWORD, GUEST, release=False)
        services.administration.set_password(user.username, "another long sentence", OPERATOR)
    monkeypatch.setattr(services.password_verifier, "verify", lambda *_, **_options: result)
    problem(api.log_in(user.username), 401, "invalid_credentials")


def test_an_account_disabled_while_its_password_was_checked_opens_nothing(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = a_user(app)
    services = Services.of(app)
    with app.app_context():
        result = services.password_verifier.verify(user.username, PASSWORD, GUEST, release=False)
        services.administration.disable(user.username, OPERATOR)
    monkeypatch.setattr(services.password_verifier, "verify", lambda *_, **_options: result)
    problem(api.log_in(user.username), 401, "invalid_credentials")
