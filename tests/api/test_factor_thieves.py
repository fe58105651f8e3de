"""What thieves try with second factors: of a session, of a password, of a mailbox."""

from collections.abc import Callable
from typing import Any, NoReturn

import psycopg2
import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from account_mailbox import AccountMailbox
from authapp.api import passkeys, recovery_codes, totp
from authapp.context import OPERATOR
from authapp.database.session import db
from authapp.domain.factors.totp_factors import TotpFactors
from authapp.domain.services import Services
from authapp.domain.token_purposes import TokenPurpose
from authapp.errors import ServiceUnavailable
from authapp.models import OutgoingMail, User
from authapp.models.role import ADMIN
from authapp.security.one_time_codes import code_hash
from authenticator import Authenticator, add_passkey
from clocks import Time
from factories import GUEST, PASSWORD, Api, a_session, a_token, a_user, an_api_key, problem
from factors import AuthenticatorApp, a_session_with_two_factors, an_app, challenge_of, second_step


@pytest.fixture
def user(app: Flask, time: Time) -> User:
    del time
    user = a_user(app)
    with app.app_context():
        return Services.of(app).email.verifications.mark(user.username, OPERATOR)


def mails(app: Flask, user: User) -> list[str]:
    with app.app_context():
        stored = db.session.scalars(select(OutgoingMail).order_by(OutgoingMail.id)).all()
        return [mail.kind for mail in stored if mail.user_id == user.id]


@pytest.mark.parametrize(("method", "path"), [("POST", "/users/me/recovery-codes"), ("DELETE", "/users/me/totp")])
def test_a_stolen_session_and_the_password_are_no_recent_login_with_two_factors(
    app: Flask, api: Api, user: User, time: Time, method: str, path: str
) -> None:
    phone = an_app(app, user)
    token = a_session_with_two_factors(app, api, user, phone).access_token
    time.passes(minutes=10)
    body = {} if method == "POST" else None
    problem(api(method, path, token, json=body), 401, "step_up_required")
    refused = api.post("/auth/step-ups", {"password": PASSWORD}, token)
    problem(refused, 401, "step_up_required")
    assert 'acr_values="mfa"' in refused.headers["WWW-Authenticate"]
    stepped_up = api.post("/auth/step-ups", {"code": phone.code()}, token).get_json()["access_token"]
    assert api(method, path, stepped_up, json=body).status_code in {201, 204}


@pytest.mark.parametrize("factor", ["totp", "passkey"])
def test_a_session_that_never_proved_the_factor_adds_none(
    app: Flask, api: Api, user: User, time: Time, factor: str
) -> None:
    current, kept = a_session(app, user).access_token, a_session(app, user).access_token
    if factor == "passkey":
        options = api.post("/users/me/passkeys/challenges", {}, kept).get_json()
        phone = AuthenticatorApp.scanned(api.post("/users/me/totp", {}, current).get_json()["otpauth_uri"])
        confirmed = api("PUT", "/users/me/totp?sessions=keep", current, json={"code": phone.code()})
        assert confirmed.status_code == 200
        problem(api.post("/users/me/passkeys/challenges", {}, kept), 401, "step_up_required")
        body = {"challenge_id": options["challenge_id"], "name": "x", "credential": Authenticator().create(options)}
        refused = api.post("/users/me/passkeys", body, kept)
    else:
        options = api.post("/users/me/passkeys/challenges", {}, current).get_json()
        body = {"challenge_id": options["challenge_id"], "name": "x", "credential": Authenticator().create(options)}
        assert api.post("/users/me/passkeys?sessions=keep", body, current).status_code == 201
        refused = api.post("/users/me/totp", {}, kept)
    problem(refused, 401, "step_up_required")
    time.passes(seconds=1)


def test_right_codes_in_mails_and_of_the_app_do_not_lock_their_owner_out(
    app: Flask, api: Api, user: User, time: Time
) -> None:
    phone = an_app(app, user)
    for _ in range(30):
        time.passes(minutes=1)
        challenge = api.post("/auth/login-links", {"email": user.email}).get_json()["challenge"]
        with app.app_context():
            newest = select(OutgoingMail.challenge_hash).where(OutgoingMail.kind == "login_link")
            challenge_hash = db.session.scalar(newest.order_by(OutgoingMail.id.desc()).limit(1))
        hashed = code_hash(challenge_hash, "12345678")
        a_token(app, user, TokenPurpose.LOGIN, challenge_hash=challenge_hash, code_hash=hashed)
        body = {"challenge": challenge, "code": "12345678"}
        first = problem(api("PUT", "/auth/login-links", json=body), 401, "second_factor_required")
        assert second_step(api, first["challenge"], phone.code()).status_code == 200


def without_keys(_factors: TotpFactors) -> NoReturn:
    raise ServiceUnavailable


def in_an_outage(_factors: TotpFactors) -> NoReturn:
    raise OperationalError("SELECT", {}, psycopg2.OperationalError("the server closed the connection"))


@pytest.mark.parametrize("keys", [without_keys, in_an_outage])
def test_codes_that_cannot_be_checked_are_not_counted(
    app: Flask, api: Api, user: User, monkeypatch: pytest.MonkeyPatch, keys: Callable[[TotpFactors], NoReturn]
) -> None:
    phone = an_app(app, user)
    for _ in range(11):
        challenge = challenge_of(api, user)
        with monkeypatch.context() as patch:
            patch.setattr(TotpFactors, "_keys", property(keys))
            problem(second_step(api, challenge, phone.code()), 503, "service_unavailable")
    assert second_step(api, challenge_of(api, user), phone.code()).status_code == 200


def test_the_link_of_a_late_mail_removes_the_factor_that_it_tells_of(
    app: Flask, api: Api, user: User, time: Time
) -> None:
    an_app(app, user)
    time.passes(hours=20)  # the mail server was away
    link = a_token(app, user, TokenPurpose.UNDO_FACTORS)
    time.passes(hours=53)
    assert api("PUT", "/auth/email-verifications", json={"token": link}).status_code == 204
    assert api.log_in(user.username).status_code == 200


def test_an_undo_removes_the_api_keys_that_were_made_since_and_no_others(
    app: Flask, api: Api, user: User, time: Time
) -> None:
    older = an_api_key(app, user)
    time.passes(days=7)
    an_app(app, user)
    stolen = an_api_key(app, user)
    link = a_token(app, user, TokenPurpose.UNDO_FACTORS)
    assert api("PUT", "/auth/email-verifications", json={"token": link}).status_code == 204
    problem(api.get("/ping", stolen), 401, "token_invalid")
    assert api.get("/ping", older).status_code == 200
    assert mails(app, user) == ["factor_added", "factor_removed"]


def test_the_mail_about_a_factor_goes_to_the_owner_though_a_thief_changes_the_address(
    app: Flask, api: Api, user: User, time: Time
) -> None:
    old = user.email
    thief = a_session(app, user).access_token
    stolen = AuthenticatorApp.scanned(api.post("/users/me/totp", {}, thief).get_json()["otpauth_uri"])
    assert api("PUT", "/users/me/totp", thief, json={"code": stolen.code()}).status_code == 200
    time.passes(minutes=2)  # the mail server defers the mail
    with app.app_context():
        mailbox, services = AccountMailbox(app, user), Services.of(app)
        services.email.address_changes.request(user.id, "thief@example.org", PASSWORD, GUEST)
        services.email.link_confirmations.confirm(mailbox.link("change_email", "thief@example.org"), PASSWORD, GUEST)
        link, undo = mailbox.link("factor_added"), mailbox.link("email_changed", old)
        time.passes(minutes=2)
        services.email.link_confirmations.confirm(undo, None, GUEST)
        services.administration.set_password(user.id, PASSWORD, OPERATOR)
    assert api("PUT", "/auth/email-verifications", json={"token": link}).status_code == 204
    assert api.log_in(user.username).status_code == 200


@pytest.mark.parametrize("factor", ["passkey", "app"])
@pytest.mark.parametrize("is_told", [True, False], ids=["told", "not told"])
def test_undoing_a_change_of_address_removes_a_factor_of_shortly_before_that_the_address_was_told_of(
    app: Flask, api: Api, user: User, time: Time, factor: str, is_told: bool
) -> None:
    old, thief = user.email, a_session(app, user).access_token
    if factor == "passkey":
        add_passkey(api, thief)
    else:
        stolen = AuthenticatorApp.scanned(api.post("/users/me/totp", {}, thief).get_json()["otpauth_uri"])
        assert api("PUT", "/users/me/totp", thief, json={"code": stolen.code()}).status_code == 200
    with app.app_context():
        mailbox, services = AccountMailbox(app, user), Services.of(app)
        if is_told:
            mailbox.link("factor_added")
        time.passes(minutes=2)
        services.email.address_changes.request(user.id, "thief@example.org", PASSWORD, GUEST)
        services.email.link_confirmations.confirm(mailbox.link("change_email", "thief@example.org"), PASSWORD, GUEST)
        time.passes(minutes=2)
        services.email.link_confirmations.confirm(mailbox.link("email_changed", old), None, GUEST)
        services.administration.set_password(user.id, PASSWORD, OPERATOR)
    assert api.log_in(user.username).status_code == (200 if is_told else 401)


@pytest.mark.parametrize("change", ["add an app", "add a passkey", "remove the app", "make codes"])
def test_a_session_that_has_ended_meanwhile_changes_no_factor(
    app: Flask, api: Api, user: User, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    def ending(function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that ends the sessions first: after the guard has let the request in."""

        def run(*arguments: Any) -> Any:
            Services.of(app).administration.end_sessions(user.id, OPERATOR)
            return function(*arguments)

        return run

    if change.startswith("add"):
        token = a_session(app, user).access_token
    else:
        token = a_session_with_two_factors(app, api, user, an_app(app, user)).access_token
    if change == "add an app":
        phone = AuthenticatorApp.scanned(api.post("/users/me/totp", {}, token).get_json()["otpauth_uri"])
        monkeypatch.setattr(totp, "ended_scope", ending(totp.ended_scope))
        response = api("PUT", "/users/me/totp", token, json={"code": phone.code()})
    elif change == "add a passkey":
        options = api.post("/users/me/passkeys/challenges", {}, token).get_json()
        monkeypatch.setattr(passkeys, "ended_scope", ending(passkeys.ended_scope))
        body = {"challenge_id": options["challenge_id"], "name": "x", "credential": Authenticator().create(options)}
        response = api.post("/users/me/passkeys", body, token)
    elif change == "remove the app":
        monkeypatch.setattr(totp, "ended_scope", ending(totp.ended_scope))
        response = api("DELETE", "/users/me/totp", token)
    else:
        monkeypatch.setattr(recovery_codes, "request_context", ending(recovery_codes.request_context))
        response = api.post("/users/me/recovery-codes", {}, token)
    problem(response, 401, "token_revoked")


def test_new_recovery_codes_are_mailed_about(app: Flask, api: Api, user: User) -> None:
    token = a_session_with_two_factors(app, api, user, an_app(app, user)).access_token
    assert api.post("/users/me/recovery-codes", {}, token).status_code == 201
    assert mails(app, user) == ["factor_added", "recovery_codes_created"]


def test_an_app_beside_a_passkey_voids_the_codes_of_before_and_the_owner_is_told(
    app: Flask, api: Api, user: User
) -> None:
    token = a_session(app, user).access_token
    add_passkey(api, token)
    phone = AuthenticatorApp.scanned(api.post("/users/me/totp", {}, token).get_json()["otpauth_uri"])
    assert api("PUT", "/users/me/totp", token, json={"code": phone.code()}).status_code == 200
    assert mails(app, user) == ["factor_added", "factor_added", "recovery_codes_created"]


def test_a_session_that_has_removed_the_last_factor_has_not_two(app: Flask, api: Api, user: User) -> None:
    token = a_session_with_two_factors(app, api, user, an_app(app, user)).access_token
    assert api("DELETE", "/users/me/totp", token).status_code == 204
    (session,) = api.get("/users/me/sessions", token).get_json()["items"]
    assert (session["amr"], session["acr"]) == (["pwd", "otp"], "sfa")


def test_logging_out_everywhere_voids_the_logins_that_are_half_done(
    app: Flask, api: Api, user: User, time: Time
) -> None:
    phone = an_app(app, user)
    token = a_session_with_two_factors(app, api, user, phone).access_token
    challenge = challenge_of(api, user)
    time.passes(seconds=30)
    assert api.post("/auth/logout?scope=global", token=token).status_code == 204
    problem(second_step(api, challenge, phone.code()), 401, "challenge_invalid")
    assert second_step(api, challenge_of(api, user), phone.code()).status_code == 200


def test_a_session_of_an_account_without_factors_cannot_lock_codes_that_come_later(
    app: Flask, api: Api, user: User
) -> None:
    token = a_session(app, user).access_token
    for _ in range(15):
        problem(api.post("/auth/step-ups", {"code": "000000"}, token), 401, "second_factor_invalid")
    phone = an_app(app, user)
    assert second_step(api, challenge_of(api, user), phone.code()).status_code == 200


def test_an_undo_says_that_it_removed_what_was_added_lately(app: Flask, api: Api, user: User) -> None:
    an_app(app, user)
    link = a_token(app, user, TokenPurpose.UNDO_FACTORS)
    assert api("PUT", "/auth/email-verifications", json={"token": link}).status_code == 204
    with app.app_context():
        mail = db.session.scalars(select(OutgoingMail).order_by(OutgoingMail.id.desc())).first()
        assert mail is not None
        assert (mail.kind, mail.details) == ("factor_removed", {"factor": "added_lately"})


def test_an_administrator_resets_no_wrong_codes_without_two_factors(
    app: Flask, api: Api, user: User, time: Time
) -> None:
    phone = an_app(app, user)
    token = a_session(app, a_user(app, roles=[ADMIN])).access_token
    for _ in range(10):
        problem(second_step(api, challenge_of(api, user), phone.wrong_code()), 401, "second_factor_invalid")
    assert api("PATCH", f"/users/{user.id}", token, json={"status": "active"}).status_code == 200
    problem(second_step(api, challenge_of(api, user), phone.code()), 429, "too_many_requests")
    time.passes(seconds=1)


def test_no_recovery_codes_stay_where_an_undo_leaves_no_second_factor(
    app: Flask, api: Api, user: User, time: Time
) -> None:
    phone = an_app(app, user)
    time.passes(days=30)
    thief = a_session_with_two_factors(app, api, user, phone).access_token
    add_passkey(api, thief)
    assert api("DELETE", "/users/me/totp", thief).status_code == 204
    link = a_token(app, user, TokenPurpose.UNDO_FACTORS)
    assert api("PUT", "/auth/email-verifications", json={"token": link}).status_code == 204
    left = api.get("/users/me/factors", api.log_in(user.username).get_json()["access_token"]).get_json()
    assert (left["totp"], left["passkeys"], left["recovery_codes"]) == (None, [], {"remaining": 0})


def test_an_undo_that_leaves_a_factor_resets_no_wrong_codes(app: Flask, api: Api, user: User, time: Time) -> None:
    phone = an_app(app, user)
    time.passes(days=30)
    for _ in range(10):
        problem(second_step(api, challenge_of(api, user), phone.wrong_code()), 401, "second_factor_invalid")
    link = a_token(app, user, TokenPurpose.UNDO_FACTORS)
    assert api("PUT", "/auth/email-verifications", json={"token": link}).status_code == 204
    problem(second_step(api, challenge_of(api, user), phone.code()), 429, "too_many_requests")


def test_a_session_that_never_proved_a_factor_deletes_no_passkey(app: Flask, api: Api, user: User) -> None:
    current, kept = a_session(app, user).access_token, a_session(app, user).access_token
    options = api.post("/users/me/passkeys/challenges", {}, current).get_json()
    body = {"challenge_id": options["challenge_id"], "name": "x", "credential": Authenticator().create(options)}
    passkey = api.post("/users/me/passkeys?sessions=keep", body, current).get_json()
    problem(api("DELETE", f"/users/me/passkeys/{passkey['id']}", kept), 401, "step_up_required")
    assert api("DELETE", f"/users/me/passkeys/{passkey['id']}", current).status_code == 204
