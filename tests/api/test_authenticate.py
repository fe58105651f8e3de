"""Our way to the principal decides as Flask-JWT-Extended's own does, and leaves the same behind."""

from collections.abc import Callable

import pytest
from flask import Flask, g, request
from flask_jwt_extended import (
    current_user,
    get_jwt,
    get_jwt_header,
    get_jwt_identity,
    jwt_required,
    verify_jwt_in_request,
)

from authapp import AuthApp
from authapp.api import middleware
from authapp.api.authenticate import authenticate, authenticate_refresh_token, current_principal
from authapp.api.jwt_extended import claims
from authapp.context import OPERATOR, Principal
from authapp.domain.services import Services
from authapp.domain.sessions.sessions import LogoutScope
from authapp.errors import TokenInvalid
from factories import GUEST, Api, a_session, a_user

KEPT = ["_jwt_extended_jwt", "_jwt_extended_jwt_header", "_jwt_extended_jwt_user", "_jwt_extended_jwt_location"]
HEADERS = {
    "Bearer {}": True,
    "bearer {}": True,
    "BEARER  {}": True,
    "bEaReR\t{} ": True,
    "Bearer {0} {0}": False,
    "Bearer {0},{0}": False,
    # White space to Python, but not to HTTP.
    "Bearer\x85{}": False,
    "Bearer\xa0{}": False,
    "Bearer": False,
    "Basic {}": False,
    "{}": False,
    "": False,
}
"""Spellings of the header, and whether a live token in it is accepted."""


@pytest.fixture
def tokens(app: Flask) -> dict[str, str]:
    user, disabled, deleted = a_user(app), a_user(app), a_user(app)
    pair, ended = a_session(app, user), a_session(app, user)
    of_disabled, of_deleted = a_session(app, disabled), a_session(app, deleted)
    services = Services.of(app)
    with app.app_context():
        services.sessions.log_out(services.tokens.read(ended.access_token), LogoutScope.LOCAL, GUEST)
        services.administration.disable(disabled.id, OPERATOR)
        services.administration.delete(deleted.id, OPERATOR)
    return {
        "access": pair.access_token,
        "refresh": pair.refresh_token,
        "revoked access": ended.access_token,
        "revoked refresh": ended.refresh_token,
        "disabled access": of_disabled.access_token,
        "disabled refresh": of_disabled.refresh_token,
        "deleted access": of_deleted.access_token,
        "deleted refresh": of_deleted.refresh_token,
        "broken": pair.access_token[:-8] + "AAAAAAAA",
    }


def authenticated(app: Flask, *, refresh: bool = False) -> Principal:
    """Return the principal of the current request, by the way that the guard takes."""
    if refresh:
        return authenticate_refresh_token(request)
    return authenticate(request, AuthApp.of(app).authenticators)


def verdict(app: Flask, header: str, verify: Callable[[], object]) -> tuple[str, object]:
    """Return the problem that a client is answered, or what is left behind for the view."""
    with app.test_request_context(headers={"Authorization": header}):
        middleware.cover(request.environ)
        try:
            verify()
        except Exception as error:  # noqa: BLE001 - ours, and the library's own of many kinds
            answer = app.make_response(app.handle_user_exception(error))
            assert answer.status_code == 401
            problem = {name: value for name, value in answer.get_json().items() if name != "request_id"}
            return "refused", (problem, answer.headers["WWW-Authenticate"])
        return "let in", {name: getattr(g, name) for name in KEPT}


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("refresh", [False, True])
def test_both_ways_decide_alike_and_leave_the_same_behind(
    app: Flask, tokens: dict[str, str], refresh: bool, header: str
) -> None:
    let_in = set()
    for name, token in tokens.items():
        expected = verdict(app, header.format(token), lambda: verify_jwt_in_request(refresh=refresh))
        decided = verdict(app, header.format(token), lambda: authenticated(app, refresh=refresh))
        assert decided == expected, name
        if expected[0] == "let in":
            let_in.add(name)
    assert let_in == ({"refresh" if refresh else "access"} if HEADERS[header] else set())


@pytest.mark.parametrize("header", [header for header, is_accepted in HEADERS.items() if is_accepted])
def test_a_view_finds_what_the_library_promises(app: Flask, header: str) -> None:
    user = a_user(app)
    token = a_session(app, user).access_token
    with app.test_request_context(headers={"Authorization": header.format(token)}):
        principal = authenticated(app)
        assert current_principal() is principal
        assert (principal.id, principal.username) == (user.id, user.username)
        assert get_jwt()["sub"] == get_jwt_identity() == claims()["sub"] == str(user.id)
        assert get_jwt_header()["typ"] == "at+jwt"
        assert current_user == principal
        assert jwt_required()(lambda: "seen")() == "seen"


def test_the_claims_are_those_of_the_type_of_token_that_was_asked_for(app: Flask) -> None:
    pair = a_session(app, a_user(app))
    with app.test_request_context(headers={"Authorization": f"Bearer {pair.refresh_token}"}):
        authenticated(app, refresh=True)
        assert claims("refresh")["type"] == "refresh"
        with pytest.raises(TokenInvalid):
            claims()


def test_without_authentication_there_is_no_principal(app: Flask) -> None:
    token = a_session(app, a_user(app)).access_token
    with app.test_request_context(headers={"Authorization": f"Bearer {token}"}), pytest.raises(LookupError):
        current_principal()


def test_a_role_of_many_permissions_comes_with_the_principal(app: Flask, api: Api) -> None:
    with app.app_context():
        Services.of(app).roles.create("clerk", ["users:read", "audit:read"], context=OPERATOR)
    token = a_session(app, a_user(app, roles=["clerk", "admin"])).access_token
    assert api.get("/users/me", token).get_json()["roles"] == ["admin", "clerk"]
    with app.test_request_context(headers={"Authorization": f"Bearer {token}"}):
        authenticated(app)
        assert {"users:read", "audit:read"} <= set(current_principal().permissions)
