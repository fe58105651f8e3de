"""Whatever ends a session is seen on the next request."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import select, text

from authapp import clock
from authapp.context import OPERATOR
from authapp.database.session import db
from authapp.domain.services import Services
from authapp.domain.sessions.sessions import LogoutScope
from authapp.errors import InvalidCredentials
from authapp.models import BlocklistedToken
from factories import GUEST, PASSWORD, Api, a_session, a_user, problem


def test_logout_writes_the_blocklist_against_the_user_with_the_expiry(app: Flask, api: Api) -> None:
    user = a_user(app)
    pair = a_session(app, user)
    api.post("/auth/logout", token=pair.access_token)
    with app.app_context():
        rows = db.session.scalars(select(BlocklistedToken).where(BlocklistedToken.user_id == user.id)).all()
    tokens = Services.of(app).tokens
    expected = {
        (kind, claims["jti"], claims["exp"])
        for kind, claims in (("access", tokens.read(pair.access_token)), ("refresh", tokens.read(pair.refresh_token)))
    }
    assert {(row.token_type, str(row.jti), int(row.expires_at.timestamp())) for row in rows} == expected


def test_logout_ends_this_session_and_no_other(app: Flask, api: Api) -> None:
    user = a_user(app)
    current, other = a_session(app, user), a_session(app, user)
    api.post("/auth/logout", token=current.access_token)
    assert api.get("/ping", other.access_token).status_code == 200


def test_every_access_token_of_the_session_is_dead_after_logout(app: Flask, api: Api) -> None:
    first = a_session(app, a_user(app))
    second = api.post("/auth/refresh", token=first.refresh_token).get_json()
    api.post("/auth/logout", token=first.access_token)
    problem(api.get("/ping", second["access_token"]), 401, "token_revoked")
    problem(api.post("/auth/refresh", token=second["refresh_token"]), 401, "token_revoked")


def test_the_blocklist_alone_refuses_a_token(app: Flask, api: Api) -> None:
    user = a_user(app)
    pair = a_session(app, user)
    claims = Services.of(app).tokens.read(pair.access_token)
    now = clock.now()
    entry = BlocklistedToken(
        user_id=user.id, jti=UUID(claims["jti"]), token_type="access", expires_at=now, revoked_at=now
    )
    with app.app_context():
        db.session.add(entry)
        db.session.commit()
    problem(api.get("/ping", pair.access_token), 401, "token_revoked")


@pytest.mark.parametrize("how", ["disable", "set_password"])
def test_disabling_and_a_new_password_kill_every_token(app: Flask, api: Api, how: str) -> None:
    user = a_user(app)
    pairs = [a_session(app, user), a_session(app, user)]
    arguments = [OPERATOR] if how == "disable" else ["another long sentence", OPERATOR]
    with app.app_context():
        getattr(Services.of(app).administration, how)(user.username, *arguments)
    for pair in pairs:
        problem(api.get("/ping", pair.access_token), 401, "token_revoked")
        problem(api.post("/auth/refresh", token=pair.refresh_token), 401, "token_revoked")


def test_enabling_does_not_bring_ended_sessions_back(app: Flask, api: Api) -> None:
    user = a_user(app)
    pair = a_session(app, user)
    with app.app_context():
        Services.of(app).administration.disable(user.username, OPERATOR)
        Services.of(app).administration.enable(user.username, OPERATOR)
    problem(api.get("/ping", pair.access_token), 401, "token_revoked")
    assert api.log_in(user.username).status_code == 200


def test_the_tokens_of_a_deleted_account_open_nothing(app: Flask, api: Api) -> None:
    user = a_user(app)
    pair = a_session(app, user)
    api.post("/auth/logout", token=a_session(app, user).access_token)
    with app.app_context():
        Services.of(app).administration.delete(user.username, OPERATOR)
    problem(api.get("/ping", pair.access_token), 401, "token_invalid")
    problem(api.post("/auth/refresh", token=pair.refresh_token), 401, "token_invalid")


def run_sql(app: Flask, statement: str) -> None:
    with app.app_context():
        db.session.execute(text(statement))
        db.session.commit()


def test_a_disabled_user_is_refused_even_with_a_live_session(app: Flask, api: Api) -> None:
    pair = a_session(app, user := a_user(app))
    run_sql(app, "UPDATE users SET status = 'disabled'")
    problem(api.get("/ping", pair.access_token), 401, "token_revoked")
    problem(api.post("/auth/refresh", token=pair.refresh_token), 401, "token_revoked")
    with app.app_context(), pytest.raises(InvalidCredentials):
        Services.of(app).password_verifier.verify(user.username, PASSWORD, GUEST, release=False)


def test_a_session_whose_time_is_over_is_not_refreshed_whatever_the_token_says(app: Flask, api: Api) -> None:
    pair = a_session(app, a_user(app))
    run_sql(app, "UPDATE sessions SET expires_at = now() - interval '1 minute'")
    problem(api.post("/auth/refresh", token=pair.refresh_token), 401, "token_revoked")


def test_a_token_of_an_unknown_session_is_invalid(app: Flask, api: Api) -> None:
    tokens = Services.of(app).tokens
    user = a_user(app)
    now = clock.now()
    token = tokens.sign(
        "access",
        user_id=user.id,
        session_id=uuid4(),
        jti=uuid4(),
        issued_at=now,
        expires_at=now + timedelta(seconds=60),
        amr=["pwd"],
        auth_time=now,
    )
    problem(api.get("/ping", token), 401, "token_invalid")


def test_logging_out_twice_at_once_is_no_error(app: Flask) -> None:
    pair = a_session(app, a_user(app))
    services = Services.of(app)
    claims = services.tokens.read(pair.access_token)
    with app.app_context():
        services.sessions.log_out(claims, LogoutScope.LOCAL, GUEST)
        services.sessions.log_out(claims, LogoutScope.LOCAL, GUEST)
