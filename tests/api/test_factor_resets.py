"""Removing the factors of an account: by administrators, by its owner who was robbed, and with the command."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, func, select

from authapp import clock, create_app
from authapp.context import OPERATOR
from authapp.database.session import db, transaction
from authapp.domain.audit import EventType
from authapp.domain.email import previous_addresses
from authapp.domain.services import Services
from authapp.domain.throttle_scopes import LOGIN_BY_USERNAME, SECOND_FACTOR, ThrottleScope, throttle_scopes
from authapp.domain.token_purposes import TokenPurpose
from authapp.models import AuditEvent, OutgoingMail, RecoveryCode, Throttle, TotpFactor, User
from authapp.models.role import ADMIN
from cli.invoking import flask_users, succeeded
from clocks import Time
from conftest import dispose
from databases import Databases
from factories import GUEST, PASSWORD, Api, a_service, a_session, a_token, a_user, events_of, mails, problem
from factors import AuthenticatorApp, a_session_with_two_factors, an_app, challenge_of, second_step
from settings import settings


@pytest.fixture
def user(app: Flask, time: Time) -> User:
    del time
    return a_user(app)


@pytest.fixture
def as_admin(app: Flask, api: Api, time: Time) -> str:
    del time
    admin = a_user(app, roles=[ADMIN])
    return a_session_with_two_factors(app, api, admin, an_app(app, admin)).access_token


def stored(app: Flask) -> int:
    with app.app_context():
        return sum(
            db.session.scalar(select(func.count()).select_from(each)) or 0 for each in (TotpFactor, RecoveryCode)
        )


def test_an_administrator_removes_the_factors_of_somebody_who_lost_them(
    app: Flask, api: Api, user: User, as_admin: str
) -> None:
    phone = an_app(app, user)
    token = a_session_with_two_factors(app, api, user, phone).access_token
    assert api("DELETE", f"/users/{user.id}/factors", as_admin).status_code == 204
    problem(api.get("/ping", token), 401, "token_revoked")
    assert api.log_in(user.username).status_code == 200
    with app.app_context():
        newest = db.session.scalars(select(OutgoingMail).order_by(OutgoingMail.id.desc())).first()
        assert newest is not None
        assert (newest.kind, newest.user_id) == ("factor_removed", user.id)
        assert newest.details == {"factor": "all"}
        (event,) = db.session.scalars(select(AuditEvent).where(AuditEvent.type == EventType.FACTOR_RESET)).all()
        assert (event.subject_id, event.details) == (user.id, {"factor": "all", "sessions_ended": 1})


def test_a_reset_forgets_the_failures_of_every_second_factor(app: Flask, user: User, time: Time) -> None:
    del time
    scope = ThrottleScope("pager", "There were too many wrong codes.", is_second_factor=True)
    throttle_scopes.register(scope.name, scope)
    try:
        with app.app_context():
            now = clock.now()
            with transaction():
                for each in (scope, SECOND_FACTOR, LOGIN_BY_USERNAME):
                    counted = {"counted_id": user.id, "scope": each.name, "failures": 1}
                    db.session.add(Throttle(**counted, last_attempt_at=now, prune_after=now))
            Services.of(app).factors.resets.reset(user.username, OPERATOR)
            assert db.session.scalars(select(Throttle.scope)).all() == [LOGIN_BY_USERNAME.name]
    finally:
        throttle_scopes.unregister(scope.name)


def test_it_needs_two_factors_a_recent_login_and_the_permission(
    app: Flask, api: Api, user: User, as_admin: str, time: Time
) -> None:
    path = f"/users/{user.id}/factors"
    plain = a_session(app, a_user(app, roles=[ADMIN])).access_token
    problem(api("DELETE", path, plain), 401, "step_up_required")
    problem(api("DELETE", path, a_session(app, user).access_token), 403, "permission_denied")
    problem(api("DELETE", path), 401, "token_missing")
    time.passes(minutes=6)
    problem(api("DELETE", path, as_admin), 401, "step_up_required")


def test_nobody_resets_the_factors_of_an_account_that_may_do_more(app: Flask, api: Api, user: User) -> None:
    with app.app_context():
        Services.of(app).roles.create("helper", permissions=["users:write"], context=OPERATOR)
    helper, chief = a_user(app, roles=["helper"]), a_user(app, roles=[ADMIN])
    token = a_session_with_two_factors(app, api, helper, an_app(app, helper)).access_token
    an_app(app, chief)
    problem(api("DELETE", f"/users/{chief.id}/factors", token), 403, "permission_denied")
    assert api("DELETE", f"/users/{user.id}/factors", token).status_code == 204


def test_the_command_does_the_same_and_shows_what_there_is(app: Flask, api: Api, user: User) -> None:
    an_app(app, user)
    shown = succeeded(flask_users(app, "factors", user.username, "--json"))
    assert '"recovery_code": 10' in shown
    assert "Removed the second factors" in succeeded(flask_users(app, "reset-factors", user.username))
    assert api.log_in(user.username).status_code == 200
    assert "totp: -" in succeeded(flask_users(app, "factors", user.username))


def test_a_reset_of_nothing_is_neither_recorded_nor_mailed_about_and_ends_no_session(
    app: Flask, api: Api, user: User, as_admin: str
) -> None:
    token = a_session(app, user).access_token
    with app.app_context(), transaction() as session:
        session.execute(delete(OutgoingMail))
    assert api("DELETE", f"/users/{user.id}/factors", as_admin).status_code == 204
    assert api.get("/ping", token).status_code == 200
    with app.app_context():
        assert db.session.scalars(select(OutgoingMail.kind)).all() == []
    assert events_of(app, user, EventType.FACTOR_RESET) == []
    assert "has no second factors" in succeeded(flask_users(app, "reset-factors", user.username))


@pytest.mark.parametrize("changes", [{}, {"mail_url": None, "mail_from": None, "login_links": "off"}])
def test_a_service_account_has_no_factors_to_reset_with_mail_or_without(
    databases: Databases, changes: dict[str, Any]
) -> None:
    with databases.migrated() as url:
        app = create_app(settings(database_url=url, **changes))
        service, admin, api = a_service(app), a_user(app, roles=[ADMIN]), Api(app.test_client())
        token = a_session_with_two_factors(app, api, admin, an_app(app, admin)).access_token
        problem(api("DELETE", f"/users/{service.id}/factors", token), 409, "service_account")
        assert events_of(app, service, EventType.FACTOR_RESET) == []
        described = api.client.get("/openapi.json").get_json()["paths"]["/api/v1/users/{user_id}/factors"]["delete"]
        assert "409" in described["responses"]
        dispose(app)


def test_an_app_that_was_never_confirmed_is_nothing_to_report(app: Flask, api: Api, user: User) -> None:
    api.post("/users/me/totp", {}, a_session(app, user).access_token)
    reset = a_token(app, user, TokenPurpose.RESET_PASSWORD)
    body = {"token": reset, "new_password": "another sentence, just as long"}
    assert api("PUT", "/auth/password-resets", json=body).status_code == 204
    assert stored(app) == 0
    with app.app_context():
        assert db.session.scalars(select(AuditEvent).where(AuditEvent.type == EventType.FACTOR_RESET)).all() == []


def undo_link(app: Flask, user: User) -> str:
    return a_token(app, user, TokenPurpose.UNDO_FACTORS)


def test_the_link_in_the_mail_removes_what_a_thief_has_added(app: Flask, api: Api, user: User) -> None:
    thief = a_session(app, user).access_token
    begun = api.post("/users/me/totp", {}, thief).get_json()
    stolen = AuthenticatorApp.scanned(begun["otpauth_uri"])
    assert api("PUT", "/users/me/totp", thief, json={"code": stolen.code()}).status_code == 200
    link = undo_link(app, user)
    assert api("PUT", "/auth/email-verifications", json={"token": link}).status_code == 204
    problem(api.get("/ping", thief), 401, "token_revoked")
    assert stored(app) == 0
    assert api.log_in(user.username).status_code == 200
    problem(api("PUT", "/auth/email-verifications", json={"token": link}), 400, "one_time_token_invalid")
    (reset,) = events_of(app, user, EventType.FACTOR_RESET)
    # Its sessions were ended before, and that is recorded once.
    assert reset.details == {"factor": "added_lately"}
    assert events_of(app, user, EventType.SESSION_ENDED)[-1].details == {"reason": "factors_changed", "sessions": 1}


def test_recovery_codes_that_were_renewed_lately_do_not_go_silently(
    app: Flask, api: Api, user: User, time: Time
) -> None:
    phone = an_app(app, user)
    time.passes(days=30)
    thief = a_session_with_two_factors(app, api, user, phone).access_token
    assert api.post("/users/me/recovery-codes", {}, thief).status_code == 201
    assert api("PUT", "/auth/email-verifications", json={"token": undo_link(app, user)}).status_code == 204
    assert stored(app) == 1  # the app
    (reset,) = events_of(app, user, EventType.FACTOR_RESET)
    assert reset.details == {"factor": "added_lately"}
    assert ("factor_removed", user.email, user.id) in mails(app)


def test_the_link_leaves_what_was_there_before(app: Flask, api: Api, user: User, time: Time) -> None:
    phone = an_app(app, user)
    time.passes(days=30)
    link = undo_link(app, user)
    assert api("PUT", "/auth/email-verifications", json={"token": link}).status_code == 204
    challenge = challenge_of(api, user)
    assert second_step(api, challenge, phone.code()).status_code == 200


def test_a_link_is_good_for_72_hours_and_for_the_address_it_was_sent_to(
    app: Flask, api: Api, user: User, time: Time
) -> None:
    late = undo_link(app, user)
    time.passes(hours=72, seconds=1)
    problem(api("PUT", "/auth/email-verifications", json={"token": late}), 400, "one_time_token_invalid")
    other = a_token(app, user, TokenPurpose.UNDO_FACTORS, sent_to="other@example.com")
    problem(api("PUT", "/auth/email-verifications", json={"token": other}), 400, "one_time_token_invalid")


def test_a_thief_who_adds_more_factors_does_not_void_the_link(app: Flask, api: Api, user: User) -> None:
    link = undo_link(app, user)
    an_app(app, user)
    assert api("PUT", "/auth/email-verifications", json={"token": link}).status_code == 204
    assert stored(app) == 0


def test_who_takes_an_account_back_finds_no_factor_of_somebody_else(app: Flask, api: Api, user: User) -> None:
    an_app(app, user)
    reset = a_token(app, user, TokenPurpose.RESET_PASSWORD)
    new = "another sentence, just as long"
    assert api("PUT", "/auth/password-resets", json={"token": reset, "new_password": new}).status_code == 204
    assert stored(app) == 0
    assert api.log_in(user.username, new).status_code == 200


def test_a_reset_of_the_password_keeps_the_factors_of_a_verified_account(app: Flask, api: Api, user: User) -> None:
    with app.app_context():
        Services.of(app).email.verifications.mark(user.username, OPERATOR)
    phone = an_app(app, user)
    reset = a_token(app, user, TokenPurpose.RESET_PASSWORD)
    new = "another sentence, just as long"
    assert api("PUT", "/auth/password-resets", json={"token": reset, "new_password": new}).status_code == 204
    assert second_step(api, challenge_of(api, user, new), phone.code()).status_code == 200


@pytest.mark.parametrize("added", ["before", "since"])
def test_undoing_a_change_of_address_removes_what_was_added_since_and_leaves_the_owners_factors(
    app: Flask, api: Api, user: User, time: Time, added: str
) -> None:
    old = user.email
    with app.app_context():
        Services.of(app).email.verifications.mark(user.username, OPERATOR)
    if added == "before":
        phone = an_app(app, user)
    time.passes(hours=1)
    with app.app_context(), transaction():
        row = db.session.get_one(User, user.id)
        assert previous_addresses.remember(row, old, was_ever_verified=True)
        row.email = "thief@example.com"
    time.passes(hours=1)
    if added == "since":
        phone = an_app(app, user)
    with app.app_context():
        Services.of(app).email.link_confirmations.confirm(
            a_token(app, user, TokenPurpose.UNDO_EMAIL, sent_to=old), None, GUEST
        )
        Services.of(app).administration.set_password(user.id, PASSWORD, OPERATOR)
        resets = select(AuditEvent).where(AuditEvent.type == EventType.FACTOR_RESET)
        recorded = len(db.session.scalars(resets).all())
    if added == "before":
        assert second_step(api, challenge_of(api, user), phone.code()).status_code == 200
        assert recorded == 0
    else:
        assert api.log_in(user.username).status_code == 200
        assert (stored(app), recorded) == (0, 1)
