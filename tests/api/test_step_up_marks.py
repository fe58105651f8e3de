"""@recent and @multi_factor: views that ask when and how the user was authenticated."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask, Request
from werkzeug.test import TestResponse

import authapp
from authapp import AuthApp, Guard, Principal, clock, create_app, fresh, mark, multi_factor, recent, requires
from authapp.api.authenticate import BearerJWT
from authapp.api.guards import guard_of
from authapp.api.requirements import HasPermission, MultiFactor, Recent
from authapp.domain.services import Services
from authapp.domain.sessions.authentication import AuthenticationResult
from authapp.errors import StepUpRequired
from clocks import Time
from conftest import dispose
from databases import Databases
from factories import GUEST, PASSWORD, Api, a_session, a_user, problem
from settings import settings

pytestmark = pytest.mark.committed


class WithoutSession(BearerJWT):
    """The credential of a machine: no session, and nobody was authenticated at any moment."""

    def authenticate(self, request: Request) -> Principal | None:
        principal = super().authenticate(request)
        if principal is None or "X-Machine" not in request.headers:
            return principal
        request.environ.pop("authapp.claims")  # as after a credential that is no token
        return replace(principal, session_id=None, auth_time=None, amr=[], fresh=False)


@pytest.fixture
def marked_app(databases: Databases) -> Iterator[Flask]:
    """An application with a view for each mark."""
    blueprint = authapp.Blueprint("marked", __name__)
    marks: dict[str, Any] = {
        "recent": recent(),
        "minute": recent(60),
        "factors": multi_factor,
        "both": lambda view: multi_factor(recent()(view)),
        "admin": lambda view: requires("users:write")(recent(60)(view)),
        "fresh": fresh,
    }
    for name, decorate in marks.items():
        view = decorate(blueprint.response(200)(dict))
        blueprint.add_url_rule(f"/marked/{name}", name, view)
    with databases.migrated() as url:
        app = create_app(settings(database_url=url, step_up_max_age=120))
        AuthApp.of(app).authenticators[:] = [WithoutSession()]
        AuthApp.of(app).register_blueprint(blueprint, url_prefix="/api/v1")
        yield app
        dispose(app)


@pytest.fixture
def marked(marked_app: Flask) -> Api:
    return Api(marked_app.test_client())


def challenge(response: TestResponse) -> str:
    problem(response, 401, "step_up_required")
    return response.headers["WWW-Authenticate"].removeprefix('Bearer realm="authapp", ')


UNMET = 'error="insufficient_user_authentication", error_description="The user has to be authenticated again."'


def test_a_view_for_recent_logins_takes_one_as_old_as_the_setting_says_and_none_older(
    marked_app: Flask, marked: Api, time: Time
) -> None:
    token = a_session(marked_app, a_user(marked_app)).access_token
    time.passes(seconds=120)
    assert marked.get("/marked/recent", token).status_code == 200
    assert challenge(marked.get("/marked/minute", token)) == f'{UNMET}, max_age="60"'
    time.passes(seconds=1)
    assert challenge(marked.get("/marked/recent", token)) == f'{UNMET}, max_age="120"'
    assert marked.get("/ping", token).status_code == 200


def test_a_refresh_does_not_make_a_login_recent_and_a_step_up_does(marked_app: Flask, marked: Api, time: Time) -> None:
    pair = a_session(marked_app, a_user(marked_app))
    time.passes(seconds=121)
    refreshed = marked.post("/auth/refresh", token=pair.refresh_token).get_json()["access_token"]
    challenge(marked.get("/marked/recent", refreshed))
    problem(marked.get("/marked/fresh", refreshed), 401, "fresh_token_required")
    stepped_up = marked.post("/auth/step-ups", {"password": PASSWORD}, refreshed).get_json()["access_token"]
    assert marked.get("/marked/recent", stepped_up).status_code == 200
    assert marked.get("/marked/fresh", stepped_up).status_code == 200
    # It counts for the session, as the database has it, and not for one token.
    assert marked.get("/marked/recent", pair.access_token).status_code == 200


def test_a_view_for_two_factors_names_what_is_lacking(marked_app: Flask, marked: Api) -> None:
    user = a_user(marked_app)
    pair = a_session(marked_app, user)
    assert challenge(marked.get("/marked/factors", pair.access_token)) == f'{UNMET}, acr_values="mfa"'
    result = AuthenticationResult(user.id, ("pwd", "otp", "mfa"), clock.now(), user.updated_at)
    with marked_app.app_context():
        strong = Services.of(marked_app).sessions.start(result, GUEST)
    assert strong is not None
    assert marked.get("/marked/factors", strong.access_token).status_code == 200


def test_a_second_factor_is_asked_for_before_a_recent_login_and_a_permission_before_both(
    marked_app: Flask, marked: Api, time: Time
) -> None:
    token = a_session(marked_app, a_user(marked_app)).access_token
    time.passes(seconds=121)
    assert challenge(marked.get("/marked/both", token)) == f'{UNMET}, acr_values="mfa"'
    problem(marked.get("/marked/admin", token), 403, "permission_denied")
    view = requires("users:read")(multi_factor(recent()(lambda: "")))
    assert guard_of(view).requirements == (HasPermission("users:read"), MultiFactor(), Recent())


@pytest.mark.parametrize("view", ["recent", "minute", "factors", "both", "fresh"])
def test_a_credential_without_a_session_gets_in_nowhere_where_a_login_is_asked_for(
    marked_app: Flask, marked: Api, view: str
) -> None:
    token = a_session(marked_app, a_user(marked_app)).access_token
    machine = {"headers": {"X-Machine": "1"}}
    assert marked.get("/ping", token, **machine).status_code == 200
    problem(marked.get(f"/marked/{view}", token, **machine), 403, "permission_denied")
    problem(marked.post("/auth/step-ups", {"password": PASSWORD}, token, **machine), 403, "permission_denied")


def test_a_session_that_says_nothing_of_its_time_is_not_recent(marked_app: Flask) -> None:
    with marked_app.test_request_context():
        token = a_session(marked_app, a_user(marked_app)).access_token
        services = Services.of(marked_app)
        status = services.principals.token_status(services.tokens.read(token))
        assert status is not None
        Recent().check(status.principal)
        with pytest.raises(StepUpRequired):
            Recent().check(replace(status.principal, auth_time=None))


@pytest.mark.parametrize("max_age", [0, -1, True, "60", 60.5, lambda: "a view"])
def test_a_mark_without_a_number_of_seconds_is_refused_where_it_is_written(max_age: Any) -> None:
    with pytest.raises(ValueError, match=r"@recent\(\)"):
        recent(max_age)


def test_the_marks_are_documented_with_the_view(marked: Api) -> None:
    paths = marked.client.get("/openapi.json").get_json()["paths"]
    operation = paths["/api/v1/marked/both"]["get"]
    assert operation["description"] == (
        "Needs a session with a second factor: its `amr` contains `mfa`. Needs a recent login or step-up; `max_age` in "
        "the challenge says how many seconds ago it may have been."
    )
    examples = operation["responses"]["401"]["content"]["application/problem+json"]["examples"]
    assert "step_up_required" in examples
    assert "WWW-Authenticate" in operation["responses"]["401"]["headers"]


def test_a_mark_of_an_application_may_use_them(marked_app: Flask) -> None:
    assert guard_of(mark(lambda: "", Guard(requirements=(Recent(30),)))).requirements == (Recent(30),)
