"""An administrator voids a password, and its owner chooses another with the link in a mail."""

from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import func, select

from account_mailbox import AccountMailbox, events
from authapp.context import OPERATOR
from authapp.database.session import db
from authapp.domain.services import Services
from authapp.models import Throttle, User
from authapp.models.role import ADMIN
from conftest import reconfigured
from factories import Api, a_session, a_user, events_of, problem
from factors import a_session_with_two_factors, an_app


def test_a_forced_reset_voids_the_password_and_mails_a_link(
    app: Flask, api: Api, admin: str, user: User, token: str, mailbox: AccountMailbox
) -> None:
    for _ in range(3):
        api.log_in("ada", "not the password")
    failures = select(func.count()).select_from(Throttle).where(Throttle.counted_id == user.id)
    assert db.session.scalar(failures) == 1
    assert api("PUT", f"/users/{user.id}/password", admin, json={}).status_code == 204
    assert db.session.scalar(failures) == 0
    problem(api.get("/users/me", token), 401, "token_revoked")
    problem(api.log_in("ada"), 401, "invalid_credentials")
    assert mailbox.mails() == [("password_voided", user.email)]
    mailbox.link("password_voided")
    assert events(user.id)[-2:] == ["password.voided", "login.refused"]


def test_a_forced_reset_of_an_account_without_a_password_is_recorded(
    app: Flask, api: Api, admin: str, user: User
) -> None:
    for expected in ("password.voided", "session.ended"):
        assert api("PUT", f"/users/{user.id}/password", admin, json={}).status_code == 204
        event = events_of(app, user)[-1]
        assert (event.type, event.actor_id is not None) == (expected, True)
    assert event.details == {"reason": "password_changed", "sessions": 0}


def test_a_forced_reset_takes_no_password_and_keeps_to_what_one_may_manage(
    app: Flask, api: Api, admin: str, user: User, services: Services
) -> None:
    problem(api("PUT", f"/users/{user.id}/password", admin, json={"new_password": "x" * 12}), 422, "validation_failed")
    with app.app_context():
        services.roles.create("support", ["users:write"], context=OPERATOR)
    supporter = a_user(app, roles=["support"])
    support = a_session_with_two_factors(app, api, supporter, an_app(app, supporter)).access_token
    boss = a_user(app, roles=[ADMIN])
    problem(api("PUT", f"/users/{boss.id}/password", support, json={}), 403, "permission_denied")
    assert api("PUT", f"/users/{user.id}/password", support, json={}).status_code == 204
    problem(api("PUT", f"/users/{UUID(int=1)}/password", admin, json={}), 404, "not_found")


def test_a_forced_reset_needs_two_factors_where_the_service_has_them(
    app: Flask, api: Api, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_factor = a_session(app, a_user(app, roles=[ADMIN])).access_token
    path = f"/users/{user.id}/password"
    problem(api("PUT", path, one_factor, json={}), 401, "step_up_required")
    reconfigured(app, monkeypatch, encryption_keys=None, origins=None)
    assert api("PUT", path, one_factor, json={}).status_code == 204
