"""Our way through Flask-JWT-Extended decides as the library's own does, and leaves the same behind."""

from typing import Any

import pytest
from flask import Flask, g
from flask_jwt_extended import (
    current_user,
    get_jwt,
    get_jwt_header,
    get_jwt_identity,
    jwt_required,
    verify_jwt_in_request,
)

from authapp.api import bearer
from authapp.context import OPERATOR
from authapp.domain.services import Services
from authapp.errors import Refusal
from factories import Api, a_session, a_user

KEPT = ["_jwt_extended_jwt", "_jwt_extended_jwt_header", "_jwt_extended_jwt_user", "_jwt_extended_jwt_location"]


def tokens(app: Flask) -> dict[str, str]:
    user = a_user(app)
    pair, ended, disabled = a_session(app, user), a_session(app, user), a_user(app)
    of_disabled = a_session(app, disabled)
    services = Services.of(app)
    with app.app_context():
        services.sessions.log_out(services.tokens.read(ended.access_token))
        services.administration.disable(disabled.id, OPERATOR)
    return {
        "access": pair.access_token,
        "refresh": pair.refresh_token,
        "revoked access": ended.access_token,
        "revoked refresh": ended.refresh_token,
        "disabled": of_disabled.access_token,
        "broken": pair.access_token[:-8] + "AAAAAAAA",
    }


def verdict(app: Flask, token: str, verify: Any) -> tuple[str, Any]:
    """Return what is raised, or what is left behind for the view."""
    with app.test_request_context(headers={"Authorization": f"Bearer {token}"}):
        try:
            verify()
        except Refusal as refusal:
            return "refused", type(refusal)
        except Exception as error:  # noqa: BLE001 - the library's own, of many kinds
            return "refused", type(error)
        return "let in", {name: getattr(g, name) for name in KEPT}


@pytest.mark.parametrize("refresh", [False, True])
def test_both_ways_decide_alike_and_leave_the_same_behind(app: Flask, refresh: bool) -> None:
    ours = bearer.verify_refresh_token if refresh else bearer.verify_access_token
    outcomes = set()
    for name, token in tokens(app).items():
        expected = verdict(app, token, lambda: verify_jwt_in_request(refresh=refresh))
        assert verdict(app, token, ours) == expected, name
        outcomes.add(expected[0])
    assert outcomes == {"refused", "let in"}


def test_a_view_finds_what_the_library_promises(app: Flask) -> None:
    user = a_user(app)
    token = a_session(app, user).access_token
    with app.test_request_context(headers={"Authorization": f"bearer  {token}"}):
        bearer.verify_access_token()
        assert get_jwt()["sub"] == get_jwt_identity() == str(user.id)
        assert get_jwt_header()["typ"] == "at+jwt"
        assert current_user.username == user.username
        jwt_required()(lambda: None)()


def test_a_role_of_many_permissions_comes_with_the_caller(app: Flask, api: Api) -> None:
    with app.app_context():
        Services.of(app).roles.create("clerk", ["users:read", "audit:read"], context=OPERATOR)
    token = a_session(app, a_user(app, roles=["clerk", "admin"])).access_token
    assert api.get("/users/me", token).get_json()["roles"] == ["admin", "clerk"]
    with app.test_request_context(headers={"Authorization": f"Bearer {token}"}):
        bearer.verify_access_token()
        assert {"users:read", "audit:read"} <= set(bearer.caller().permissions)
