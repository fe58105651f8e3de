"""The guard of all changes of factors, without the marks of a view, and what it does within its transaction."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from authapp import clock
from authapp.context import MULTI_FACTOR, Principal, RequestContext
from authapp.database.session import db
from authapp.domain.factors.enrolled import factors_of
from authapp.domain.services import Services
from authapp.errors import StepUpRequired, TokenRevoked
from authapp.models import RecoveryCode, Session, User
from authapp.security import identifiers
from factories import GUEST, a_session, a_user
from factors import an_app


@pytest.fixture
def user(app: Flask) -> Iterator[User]:
    user = a_user(app)
    with app.app_context():
        yield user


@pytest.fixture
def context(app: Flask, user: User) -> RequestContext:
    """That of a session which began just now, with a password."""
    services = Services.of(app)
    status = services.principals.token_status(services.tokens.read(a_session(app, user).access_token))
    assert status is not None
    assert isinstance(status.principal, Principal)
    return replace(GUEST, principal=status.principal)


def acting(context: RequestContext, **changes: object) -> RequestContext:
    assert isinstance(context.principal, Principal)
    return replace(context, principal=replace(context.principal, **changes))  # type: ignore[arg-type]


def begin(app: Flask, context: RequestContext) -> None:
    assert context.actor_id is not None
    Services.of(app).factors.totp_enrolment.begin(context.actor_id, context)


def test_a_recent_login_is_let_in(app: Flask, context: RequestContext) -> None:
    begin(app, context)


def test_an_older_one_is_not(app: Flask, context: RequestContext) -> None:
    with pytest.raises(StepUpRequired):
        begin(app, acting(context, auth_time=clock.now() - timedelta(hours=1)))


def test_a_session_that_is_gone_is_not(app: Flask, context: RequestContext) -> None:
    with pytest.raises(TokenRevoked):
        begin(app, acting(context, session_id=identifiers.unguessable()))


def test_who_resets_factors_of_others_needs_two(app: Flask, context: RequestContext) -> None:
    other, resets = a_user(app), Services.of(app).factors.resets
    with pytest.raises(StepUpRequired) as refused:
        resets.reset(other.id, context)
    assert refused.value.auth_params["acr_values"] == MULTI_FACTOR
    resets.reset(other.id, acting(context, amr=["pwd", "otp", MULTI_FACTOR]))


@pytest.mark.committed
def test_the_last_factor_takes_recovery_codes_and_mfa_with_it_where_commits_are_real(
    app: Flask, user: User, context: RequestContext
) -> None:
    an_app(app, user)
    with_factor = acting(context, amr=["pwd", "otp", MULTI_FACTOR])
    db.session.get_one(Session, (user.id, context.session_id)).amr = ["pwd", "otp", MULTI_FACTOR]
    db.session.commit()
    Services.of(app).factors.totp_enrolment.remove(user.id, with_factor, scope=None)
    assert factors_of(user.id).states["recovery_code"] == 0
    assert db.session.scalars(select(RecoveryCode)).all() == []
    assert db.session.scalars(select(Session.amr)).one() == ["pwd", "otp"]
