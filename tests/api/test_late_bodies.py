"""A body may arrive long after the token was accepted: what was taken away meanwhile is gone."""

from collections.abc import Callable
from uuid import UUID

import pytest
from flask import Flask

from authapp import clock
from authapp.context import OPERATOR, RequestContext
from authapp.database.session import db, transaction
from authapp.domain.services import Services
from authapp.domain.sessions import revocation
from authapp.errors import TokenRevoked
from authapp.models import EndReason, User
from factories import PASSWORD, a_session, a_user

NEW_PASSWORD = "another horse battery staple"
Write = Callable[[Services, UUID, RequestContext], object]

WRITES: dict[str, Write] = {
    "rename": lambda services, user, context: services.accounts.rename(user, username="newname", context=context),
    "change password": lambda services, user, context: services.accounts.change_password(
        user, context.session_id, PASSWORD, NEW_PASSWORD, context
    ),
    "delete": lambda services, user, context: services.accounts.delete_own(user, PASSWORD, context),
}
ENDS: dict[str, Write] = {
    "logout": lambda _services, user, context: revocation.end_one(
        user, context.session_id or user, EndReason.LOGOUT, clock.now()
    ),
    "logout everywhere": lambda services, user, _context: services.administration.end_sessions(user, OPERATOR),
    "disabled": lambda services, user, _context: services.administration.disable(user, OPERATOR),
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("end", ENDS)
def test_what_was_let_in_before_its_session_ended_writes_nothing(app: Flask, write: str, end: str) -> None:
    user, services = a_user(app), Services.of(app)
    token = a_session(app, user).access_token
    with app.app_context():
        status = services.principals.token_status(services.tokens.read(token))
        assert status is not None
        context = RequestContext(None, None, None, status.principal)
        with transaction():
            ENDS[end](services, user.id, context)
        db.session.expire_all()
        before = db.session.get_one(User, user.id).password_hash

        with pytest.raises(TokenRevoked):
            WRITES[write](services, user.id, context)

        kept = db.session.get_one(User, user.id, populate_existing=True)
        assert (kept.username, kept.password_hash) == (user.username, before)


@pytest.mark.parametrize("write", WRITES)
def test_what_was_let_in_writes_while_its_session_lives(app: Flask, write: str) -> None:
    user, services = a_user(app), Services.of(app)
    token = a_session(app, user).access_token
    with app.app_context():
        status = services.principals.token_status(services.tokens.read(token))
        assert status is not None
        WRITES[write](services, user.id, RequestContext(None, None, None, status.principal))
