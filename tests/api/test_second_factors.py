"""The login in two steps: who has a second factor needs it, once, and nobody guesses it."""

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import jwt
import pytest
from flask import Flask
from sqlalchemy import func, select

from authapp import clock
from authapp.config import rate_limits
from authapp.context import OPERATOR
from authapp.database.session import db
from authapp.domain.factors import pending_logins
from authapp.domain.factors.pending_logins import MAX_FAILURES, MAX_PER_ACCOUNT
from authapp.domain.services import Services
from authapp.domain.token_purposes import TokenPurpose
from authapp.models import OutgoingMail, PendingLogin, RecoveryCode, User
from clocks import Time
from factories import GUEST, PASSWORD, Api, a_token, a_user, all_events, problem
from factors import AuthenticatorApp, a_verified_user, an_app, challenge_of, second_step

NEW_PASSWORD = "another sentence, just as long"


@pytest.fixture
def user(app: Flask, time: Time) -> User:
    del time
    return a_verified_user(app)


def basic(name: str, password: str) -> str:
    return "Basic " + b64encode(f"{name}:{password}".encode()).decode()


def a_login_link(app: Flask, api: Api, user: User) -> tuple[str, str]:
    """Ask for a login link, and send it as delivery does; return the challenge and the token."""
    challenge = api.post("/auth/login-links", {"email": user.email}).get_json()["challenge"]
    with app.app_context():
        newest = select(OutgoingMail.challenge_hash).where(OutgoingMail.kind == "login_link")
        challenge_hash = db.session.scalar(newest.order_by(OutgoingMail.id.desc()).limit(1))
    return challenge, a_token(app, user, TokenPurpose.LOGIN, challenge_hash=challenge_hash)


def claims(pair: dict[str, Any]) -> dict[str, Any]:
    decoded: dict[str, Any] = jwt.decode(pair["access_token"], options={"verify_signature": False})
    return decoded


def test_a_login_takes_two_steps(api: Api, user: User, phone: AuthenticatorApp) -> None:
    body = problem(api.log_in(user.username), 401, "second_factor_required")
    assert (body["factors"], body["expires_in"]) == (["totp", "recovery_code"], 300)
    pair = second_step(api, body["challenge"], phone.code())
    assert pair.status_code == 200
    assert claims(pair.get_json())["amr"] == ["pwd", "otp", "mfa"]
    assert claims(pair.get_json())["auth_time"] == int(clock.now().timestamp())
    assert api.get("/ping", pair.get_json()["access_token"]).status_code == 200


def test_the_documents_describe_what_the_answer_to_the_first_step_has(
    api: Api, user: User, phone: AuthenticatorApp
) -> None:
    del phone
    document = api.client.get("/openapi.json").get_json()
    described = document["components"]["schemas"]["SecondFactorRequiredProblem"]
    members = described["allOf"][1]["properties"].keys() - {"code"}
    assert members == {"challenge", "factors", "expires_in"}
    body = problem(api.log_in(user.username), 401, "second_factor_required")
    validator = jsonschema_rs.validator_for({**described, "components": document["components"]})
    assert validator.is_valid(body)
    assert not validator.is_valid({**body, "expires_in": "soon"})


def test_an_account_without_a_second_factor_logs_in_with_one_step(app: Flask, api: Api) -> None:
    assert api.log_in(a_user(app).username).status_code == 200


def test_a_wrong_password_does_not_tell_that_there_is_a_second_factor(
    api: Api, user: User, phone: AuthenticatorApp
) -> None:
    del phone
    body = problem(api.log_in(user.username, "not the password"), 401, "invalid_credentials")
    assert body.keys().isdisjoint({"challenge", "factors"})


def test_a_factor_that_waits_for_its_first_code_is_not_asked_for(app: Flask, api: Api, user: User) -> None:
    with app.app_context():
        Services.of(app).factors.totp_enrolment.begin(user.id, GUEST)
    assert api.log_in(user.username).status_code == 200


def test_a_code_and_a_challenge_are_good_once(api: Api, user: User, phone: AuthenticatorApp, time: Time) -> None:
    challenge, other = challenge_of(api, user), challenge_of(api, user)
    assert second_step(api, challenge, phone.code()).status_code == 200
    problem(second_step(api, other, phone.code()), 401, "second_factor_invalid")
    problem(second_step(api, challenge, phone.code(1)), 401, "challenge_invalid")
    time.passes(seconds=30)
    assert second_step(api, other, phone.code()).status_code == 200


def test_a_challenge_lives_for_five_minutes(api: Api, user: User, phone: AuthenticatorApp, time: Time) -> None:
    challenge, other = challenge_of(api, user), challenge_of(api, user)
    time.passes(minutes=4, seconds=59)
    assert second_step(api, other, phone.code()).status_code == 200
    time.passes(minutes=1)
    problem(second_step(api, challenge, phone.code()), 401, "challenge_invalid")


def test_wrong_codes_spend_a_challenge_and_no_other(app: Flask, api: Api, user: User, phone: AuthenticatorApp) -> None:
    challenge, other = challenge_of(api, user), challenge_of(api, user)
    for _ in range(MAX_FAILURES):
        problem(second_step(api, challenge, phone.wrong_code()), 401, "second_factor_invalid")
    problem(second_step(api, challenge, phone.code()), 401, "challenge_invalid")
    assert second_step(api, other, phone.code()).status_code == 200
    refused = all_events(app, "second_factor.refused")
    assert [(event.subject_id, event.details) for event in refused] == [(user.id, {"factor": "totp"})] * MAX_FAILURES


@pytest.mark.parametrize("challenge", ["", "x", "A" * 64, "not base64!", "é"])
def test_a_challenge_of_nobody_is_refused_and_counts_nothing(
    app: Flask, api: Api, user: User, phone: AuthenticatorApp, challenge: str
) -> None:
    problem(second_step(api, challenge, phone.code()), 401, "challenge_invalid")
    assert all_events(app, "second_factor.refused") == []
    assert second_step(api, challenge_of(api, user), phone.code()).status_code == 200


CHANGES: dict[str, Callable[[Services, User], object]] = {
    "a new password": lambda to, user: to.administration.set_password(user.id, NEW_PASSWORD, OPERATOR),
    "disabled": lambda to, user: to.administration.disable(user.id, OPERATOR),
    "a factor removed": lambda to, user: to.factors.totp_enrolment.remove(user.id, OPERATOR, scope=None),
    "factors reset": lambda to, user: to.factors.resets.reset(user.id, OPERATOR),
    "renamed": lambda to, user: to.accounts.rename(user.id, username="another", context=OPERATOR),
    "deleted": lambda to, user: to.administration.delete(user.id, OPERATOR),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("factor", ["totp", "recovery_code"])
def test_a_change_of_the_account_voids_the_challenge_and_spends_no_code(
    app: Flask, api: Api, user: User, phone: AuthenticatorApp, time: Time, change: str, factor: str
) -> None:
    challenge = challenge_of(api, user)
    time.passes(seconds=1)
    with app.app_context():
        CHANGES[change](Services.of(app), user)
        codes = db.session.scalar(select(func.count()).select_from(RecoveryCode))
    code = phone.code() if factor == "totp" else phone.recovery_codes[0]
    problem(second_step(api, challenge, code, factor), 401, "challenge_invalid")
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(RecoveryCode)) == codes


def test_who_knows_the_password_alone_does_not_soon_push_out_the_login_of_the_owner() -> None:
    limit = rate_limits["login"]
    assert limit is not None
    assert MAX_PER_ACCOUNT * limit.seconds / limit.amount >= 45, "seconds, for one address that goes to its limit"


def test_an_account_has_few_challenges_and_the_oldest_go(
    app: Flask, api: Api, user: User, phone: AuthenticatorApp, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending_logins, "MAX_PER_ACCOUNT", 5)
    challenges = []
    for _ in range(6):
        challenges.append(challenge_of(api, user))
        time.passes(seconds=1)
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(PendingLogin)) == 5
    problem(second_step(api, challenges[0], phone.code()), 401, "challenge_invalid")
    assert second_step(api, challenges[1], phone.code()).status_code == 200


def test_a_recovery_code_replaces_the_factor_once(app: Flask, api: Api, user: User, phone: AuthenticatorApp) -> None:
    code = phone.recovery_codes[3]
    pair = second_step(api, challenge_of(api, user), code.lower().replace("-", " "), "recovery_code")
    assert pair.status_code == 200
    assert claims(pair.get_json())["amr"] == ["pwd", "recovery_code", "mfa"]
    problem(second_step(api, challenge_of(api, user), code, "recovery_code"), 401, "second_factor_invalid")
    (event,) = all_events(app, "recovery_code.used")
    assert (event.subject_id, event.details) == (user.id, {"remaining": 9})
    with app.app_context():
        mails = db.session.scalars(select(OutgoingMail).where(OutgoingMail.kind == "recovery_code_used")).all()
        assert [(mail.user_id, mail.details) for mail in mails] == [(user.id, {"remaining": 9})]


def test_a_login_without_recovery_codes_does_not_offer_them(
    app: Flask, api: Api, user: User, phone: AuthenticatorApp
) -> None:
    for code in phone.recovery_codes:
        assert second_step(api, challenge_of(api, user), code, "recovery_code").status_code == 200
    body = problem(api.log_in(user.username), 401, "second_factor_required")
    assert body["factors"] == ["totp"]


def test_a_code_for_one_factor_is_none_for_the_other(api: Api, user: User, phone: AuthenticatorApp) -> None:
    problem(second_step(api, challenge_of(api, user), phone.code(), "recovery_code"), 401, "second_factor_invalid")
    problem(second_step(api, challenge_of(api, user), phone.recovery_codes[0]), 401, "second_factor_invalid")
    problem(second_step(api, challenge_of(api, user), phone.code(), "password"), 422, "validation_failed")


def test_the_challenge_of_one_account_takes_no_code_of_another(
    app: Flask, api: Api, user: User, phone: AuthenticatorApp
) -> None:
    del phone
    other = an_app(app, a_user(app))
    problem(second_step(api, challenge_of(api, user), other.code()), 401, "second_factor_invalid")
    code = other.recovery_codes[0]
    problem(second_step(api, challenge_of(api, user), code, "recovery_code"), 401, "second_factor_invalid")


def test_a_login_link_asks_for_the_second_factor_too(app: Flask, api: Api, user: User, phone: AuthenticatorApp) -> None:
    challenge, token = a_login_link(app, api, user)
    body = problem(
        api("PUT", "/auth/login-links", json={"challenge": challenge, "token": token}), 401, "second_factor_required"
    )
    pair = second_step(api, body["challenge"], phone.code())
    assert claims(pair.get_json())["amr"] == ["email", "otp", "mfa"]


def test_http_basic_is_refused_for_an_account_with_a_second_factor(
    app: Flask, api: Api, user: User, phone: AuthenticatorApp
) -> None:
    del phone
    response = api.post("/auth/revoke", data={"token": "x"}, headers={"Authorization": basic(user.username, PASSWORD)})
    body = problem(response, 401, "second_factor_required")
    assert "challenge" not in body
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(PendingLogin)) == 0


@pytest.mark.parametrize("code", ["287 082", "287082 "])
def test_blanks_in_a_code_do_not_matter(api: Api, user: User, phone: AuthenticatorApp, code: str) -> None:
    shown = phone.code()
    typed = code.replace("287", shown[:3]).replace("082", shown[3:])
    assert second_step(api, challenge_of(api, user), typed).status_code == 200


def test_an_account_with_a_second_factor_gets_no_tokens_without_it(
    app: Flask, api: Api, user: User, phone: AuthenticatorApp
) -> None:
    """Every route that answers a token pair is in this list, and those that guests may call ask for the factor."""
    del phone
    document = api.client.get("/openapi.json").get_json()
    giving = {
        f"{method.upper()} {path.removeprefix('/api/v1')}"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method in {"get", "post", "put", "patch", "delete"}
        and any("TokenPair" in str(answer) for status, answer in operation["responses"].items() if status[0] == "2")
    }
    in_a_session = {"POST /auth/refresh", "POST /auth/step-ups"}
    completing = {"POST /auth/second-factors"}
    asking = {"POST /auth/login", "PUT /auth/login-links"}
    # It verifies the user, and so is two factors by itself.
    of_two_factors = {"POST /auth/passkey-logins"}
    # It asks, too: tests/api/test_provider_logins.py.
    of_a_provider = {"PUT /auth/providers/{name}/logins"}
    assert giving == in_a_session | completing | of_two_factors | asking | of_a_provider
    challenge, token = a_login_link(app, api, user)
    problem(api.log_in(user.username), 401, "second_factor_required")
    problem(
        api("PUT", "/auth/login-links", json={"challenge": challenge, "token": token}), 401, "second_factor_required"
    )
