"""Every route, asked with every kind of credential; the URL map and one table say what each of them gets."""

import re
from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from flask import Flask

from api.access_table import IN, REFUSED, TABLE, TWO_FACTOR_ADMIN, expected
from authapp import clock
from authapp.context import OPERATOR
from authapp.domain.roles.permissions import permissions
from authapp.domain.services import Services
from factories import Api, a_session, a_user
from factors import a_session_with_two_factors, an_app

ROLES = {f"role with {permission}": permission for permission in permissions}
CREDENTIALS = [*REFUSED, "refresh token", "not fresh", "not recent", "plain", *ROLES, "admin", TWO_FACTOR_ADMIN]


@pytest.fixture
def tokens(app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """One token for each kind of credential."""
    services = Services.of(app)
    made: dict[str, str | None] = {"guest": None, "garbage": "not.a.token"}
    with monkeypatch.context() as patch:
        past = clock.now() - timedelta(hours=1)
        patch.setattr(clock, "now", lambda: past)
        made["expired"] = a_session(app, a_user(app)).access_token
    with monkeypatch.context() as patch:
        earlier = clock.now() - timedelta(minutes=10)
        patch.setattr(clock, "now", lambda: earlier)
        made["not recent"] = a_session(app, a_user(app)).access_token
    made["logged out"] = a_session(app, a_user(app)).access_token
    assert api.post("/auth/logout", token=made["logged out"]).status_code == 204
    disabled = a_user(app, roles=["admin"])
    made["disabled"] = a_session(app, disabled).access_token
    # Two administrators, so that one can be disabled.
    made["admin"] = a_session(app, a_user(app, roles=["admin"])).access_token
    with app.app_context():
        services.administration.disable(disabled.username, OPERATOR)
        for name, permission in ROLES.items():
            role = str(permission).replace(":", "-")
            services.roles.create(role, [permission], context=OPERATOR)
            made[name] = a_session(app, a_user(app, roles=[role])).access_token
    second = a_user(app, roles=["admin"])
    made[TWO_FACTOR_ADMIN] = a_session_with_two_factors(app, api, second, an_app(app, second)).access_token
    made["plain"] = a_session(app, a_user(app)).access_token
    refreshed = api.post("/auth/refresh", token=a_session(app, a_user(app)).refresh_token).get_json()
    made["not fresh"] = refreshed["access_token"]
    made["refresh token"] = a_session(app, a_user(app)).refresh_token
    return made


def routes(app: Flask) -> Iterator[str]:
    for rule in app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            yield f"{method:6} {rule.rule}"


def test_every_route_has_a_row_and_every_row_a_route(shared_app: Flask) -> None:
    assert set(routes(shared_app)) == TABLE.keys()


@pytest.mark.parametrize("route", TABLE)
def test_a_route_lets_in_exactly_what_the_table_says(api: Api, tokens: dict[str, str | None], route: str) -> None:
    # From the weakest credential to the strongest: what one of them is let in to do may end another's account.
    assert tokens.keys() == set(CREDENTIALS)
    outcomes = {credential: outcome(api, route, tokens[credential]) for credential in CREDENTIALS}
    assert outcomes == {credential: expected(TABLE[route], credential) for credential in CREDENTIALS}


def outcome(api: Api, route: str, token: str | None) -> str:
    """Return what the guard of ``route`` answers, or that it let the request in."""
    method, rule = route.split()
    path = re.sub("<uuid:[a-z_]+>", str(uuid4()), rule)
    path = path.replace("<name>", "nobody").replace("<code>", "not_found")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    response = api.client.open(path, method=method, headers=headers)
    assert response.status_code < 500, response.data
    answer = response.get_json(silent=True) or {}
    if answer.get("error") == "invalid_client":
        return IN  # the token endpoint, which asks for a client of OAuth itself
    code = answer.get("code")
    if response.status_code == 401 or code == "permission_denied":
        return f"{response.status_code} {code}"
    return IN
