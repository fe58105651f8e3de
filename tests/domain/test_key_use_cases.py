"""What the use cases of API keys refuse by themselves, whatever the guard of a route has let in before."""

from dataclasses import replace
from uuid import UUID

import pytest
from flask import Flask

from authapp.context import OPERATOR, Principal, RequestContext
from authapp.domain.api_keys.api_keys import ApiKeyRequest
from authapp.domain.services import Services
from authapp.domain.sessions.sessions import LogoutScope
from authapp.errors import PermissionDenied, ResourceNotFound, TokenRevoked
from authapp.models import User
from authapp.security import api_keys
from factories import GUEST, a_service, a_session, a_user, an_api_key

WANTED = ApiKeyRequest(name="x")


@pytest.fixture
def user(app: Flask) -> User:
    return a_user(app, roles=["admin"])


def of(principal: Principal) -> RequestContext:
    return replace(GUEST, principal=principal)


def test_a_key_makes_no_key(app: Flask, user: User) -> None:
    key, service = an_api_key(app, user), a_service(app)
    with app.app_context():
        services = Services.of(app)
        context = of(services.api_key_verifier.authenticate(key, GUEST))
        with pytest.raises(PermissionDenied):
            services.api_keys.create_own(user.id, WANTED, context)
        with pytest.raises(PermissionDenied):
            services.api_keys.create_for(service.id, WANTED, context)


def test_whoever_was_logged_out_meanwhile_neither_makes_nor_deletes_a_key(app: Flask, user: User) -> None:
    key_id: UUID = api_keys.parse(an_api_key(app, user)).key_id
    services, service = Services.of(app), a_service(app)
    claims = services.tokens.read(a_session(app, user).access_token)
    with app.app_context():
        status = services.principals.token_status(claims)
        assert status is not None
        services.sessions.log_out(claims, LogoutScope.LOCAL, GUEST)
        context = of(status.principal)
        with pytest.raises(TokenRevoked):
            services.api_keys.create_own(user.id, WANTED, context)
        with pytest.raises(TokenRevoked):
            services.api_keys.create_for(service.id, WANTED, context)
        with pytest.raises(TokenRevoked):
            services.api_keys.delete_own(user.id, key_id, context)
        with pytest.raises(TokenRevoked):
            services.api_keys.delete(user.id, key_id, context)


def test_a_key_that_was_deleted_meanwhile_changes_nothing(app: Flask, user: User) -> None:
    key, other, services = an_api_key(app, user), a_user(app), Services.of(app)
    with app.app_context():
        context = of(services.api_key_verifier.authenticate(key, GUEST))
        services.administration.disable(other.id, context)
        services.api_keys.delete(user.id, api_keys.parse(key).key_id, OPERATOR)
        with pytest.raises(TokenRevoked):
            services.administration.enable(other.id, context)


def test_the_keys_of_nobody_are_not_found_before_the_first_is_read(app: Flask) -> None:
    with app.app_context(), pytest.raises(ResourceNotFound):
        Services.of(app).api_keys.iterate_all("nobody")
