"""The login in two steps: who has a second factor needs it, once, and nobody guesses it."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jsonschema_rs
import jwt
import pytest
from flask import Flask
from sqlalchemy import func, select

from authapp import clock, hooks
from authapp.config import rate_limits
from authapp.context import MULTI_FACTOR, OPERATOR
from authapp.database.session import db
from authapp.domain.factors import pending_logins
from authapp.domain.factors.pending_logins import MAX_FAILURES, MAX_PER_ACCOUNT
from authapp.domain.services import Services
from authapp.domain.sessions.authentication import AuthenticationResult
from authapp.domain.token_purposes import TokenPurpose
from authapp.errors import PermissionDenied
from authapp.models import AuditEvent, OutgoingMail, PendingLogin, RecoveryCode, User
from clocks import Time
from factories import GUEST, PASSWORD, Api, a_token, a_user, problem
from factors import AuthenticatorApp, a_session_with_two_factors, an_app, challenge_of, second_step

NEW_PASSWORD = "another sentence, just as long"


@pytest.fixture
def user(app: Flask, time: Time) -> User:
    del time
    user = a_user(app)
    # Otherwise a mail to its address would take the account back from whoever has added the factor.
    with app.app_context():
        return Services.of(app).email.verifications.mark(user.username, OPERATOR)


@pytest.fixture
def phone(app: Flask, user: User) -> AuthenticatorApp:
    return an_app(app, user)


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


def events(app: Flask, event_type: str) -> list[AuditEvent]:
    with app.app_context():
        return list(db.session.scalars(select(AuditEvent).where(AuditEvent.type == event_type)))


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
    refused = events(app, "second_factor.refused")
    assert [(event.subject_id, event.details) for event in refused] == [(user.id, {"factor": "totp"})] * MAX_FAILURES


@pytest.mark.parametrize("challenge", ["", "x", "A" * 64, "not base64!", "é"])
def test_a_challenge_of_nobody_is_refused_and_counts_nothing(
    app: Flask, api: Api, user: User, phone: AuthenticatorApp, challenge: str
) -> None:
    problem(second_step(api, challenge, phone.code()), 401, "challenge_invalid")
    assert events(app, "second_factor.refused") == []
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
    (event,) = events(app, "recovery_code.used")
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


def locked_out(api: Api, user: User, phone: AuthenticatorApp, time: Time) -> str:
    """Guess until no guess is compared any more; return a challenge that is still good."""
    for _ in range(50):
        challenge = challenge_of(api, user)
        for _ in range(MAX_FAILURES):
            time.passes(minutes=15)
            challenge = challenge_of(api, user)
            if second_step(api, challenge, phone.wrong_code()).status_code == 429:
                return challenge
    raise AssertionError("codes can be guessed for ever")


def guesses(app: Flask) -> int:
    return len(events(app, "second_factor.refused"))


def test_codes_cannot_be_guessed_over_many_challenges_and_a_new_password_gives_no_more_guesses(
    app: Flask, api: Api, user: User, phone: AuthenticatorApp, time: Time
) -> None:
    challenge = locked_out(api, user, phone, time)
    assert guesses(app) == Services.of(app).settings.login_failures_max // 2
    problem(second_step(api, challenge, phone.code()), 429, "too_many_requests")
    token = a_token(app, user, TokenPurpose.RESET_PASSWORD)
    assert api("PUT", "/auth/password-resets", json={"token": token, "new_password": NEW_PASSWORD}).status_code == 204
    problem(second_step(api, challenge_of(api, user, NEW_PASSWORD), phone.code()), 429, "too_many_requests")
    with app.app_context():
        Services.of(app).administration.set_password(user.id, PASSWORD, OPERATOR)
    problem(second_step(api, challenge_of(api, user), phone.code()), 429, "too_many_requests")
    time.passes(days=400)
    problem(second_step(api, challenge_of(api, user), phone.code()), 429, "too_many_requests")


def test_a_recovery_code_and_an_administrator_open_an_account_whose_codes_are_locked(
    app: Flask, api: Api, user: User, phone: AuthenticatorApp, time: Time
) -> None:
    challenge = locked_out(api, user, phone, time)
    problem(second_step(api, challenge, "1234-" * 6, "recovery_code"), 401, "second_factor_invalid")
    assert second_step(api, challenge, phone.recovery_codes[0], "recovery_code").status_code == 200
    assert second_step(api, challenge_of(api, user), phone.code()).status_code == 200
    locked_out(api, user, phone, time)
    with app.app_context():
        Services.of(app).administration.unlock(user.id, OPERATOR)
    assert second_step(api, challenge_of(api, user), phone.code()).status_code == 200


def guess(api: Api, user: User, phone: AuthenticatorApp, times: int) -> None:
    for _ in range(times):
        problem(second_step(api, challenge_of(api, user), phone.wrong_code()), 401, "second_factor_invalid")


def test_guesses_in_step_ups_and_logins_count_together(
    app: Flask, api: Api, user: User, phone: AuthenticatorApp, time: Time
) -> None:
    token = a_session_with_two_factors(app, api, user, phone).access_token
    for _ in range(5):
        problem(api.post("/auth/step-ups", {"code": phone.wrong_code()}, token), 401, "second_factor_invalid")
    guess(api, user, phone, 5)
    problem(api.post("/auth/step-ups", {"code": phone.code(1)}, token), 429, "too_many_requests")
    challenge = challenge_of(api, user)
    problem(second_step(api, challenge, phone.code(1)), 429, "too_many_requests")
    time.passes(minutes=1)
    assert second_step(api, challenge, phone.code(1)).status_code == 200


def test_a_right_code_forgets_the_wrong_ones(api: Api, user: User, phone: AuthenticatorApp, time: Time) -> None:
    for _ in range(3):
        guess(api, user, phone, 9)
        assert second_step(api, challenge_of(api, user), phone.code()).status_code == 200
        time.passes(seconds=30)


@contextmanager
def refusing_sessions(change: Callable[[], object] | None = None) -> Iterator[None]:
    """Refuse the second step in a hook or, with ``change``, have the account change meanwhile."""

    def refuse(_app: object, *, result: AuthenticationResult, **_: object) -> None:
        if MULTI_FACTOR in result.amr:
            if change is None:
                raise PermissionDenied
            change()

    with hooks.before_session_start.connected_to(refuse):
        yield


@pytest.mark.parametrize("factor", ["totp", "recovery_code"])
def test_a_right_code_is_no_wrong_one_if_the_login_is_refused_afterwards(
    app: Flask, api: Api, user: User, phone: AuthenticatorApp, factor: str
) -> None:
    guess(api, user, phone, 9)
    code = phone.code() if factor == "totp" else phone.recovery_codes[0]
    with refusing_sessions():
        problem(second_step(api, challenge_of(api, user), code, factor), 403, "permission_denied")
    assert [event.details for event in events(app, "login.refused")] == [
        {"factor": factor, "code": "permission_denied"}
    ]
    guess(api, user, phone, 9)
    assert second_step(api, challenge_of(api, user), phone.code(1)).status_code == 200


def test_a_right_code_is_no_wrong_one_if_the_account_changes_meanwhile(
    app: Flask, api: Api, user: User, phone: AuthenticatorApp, time: Time
) -> None:
    def rename() -> None:
        time.passes(seconds=1)
        Services.of(app).accounts.rename(user.id, username=user.username + "2", context=OPERATOR)

    guess(api, user, phone, 9)
    with refusing_sessions(rename):
        problem(second_step(api, challenge_of(api, user), phone.code()), 401, "challenge_invalid")
    assert [event.details for event in events(app, "login.refused")] == [{"factor": "totp"}]
    user.username += "2"
    guess(api, user, phone, 9)
    assert second_step(api, challenge_of(api, user), phone.code(1)).status_code == 200


def test_a_code_that_was_not_compared_is_not_counted(
    api: Api, user: User, phone: AuthenticatorApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    guess(api, user, phone, 9)
    with monkeypatch.context() as patched:
        patched.setattr(pending_logins, "lock", lambda _login: False)  # another request has used it up meanwhile
        for _ in range(3):
            problem(second_step(api, challenge_of(api, user), phone.code()), 401, "challenge_invalid")
    assert second_step(api, challenge_of(api, user), phone.code()).status_code == 200


def test_a_right_password_forgets_no_wrong_codes(api: Api, user: User, phone: AuthenticatorApp) -> None:
    guess(api, user, phone, 10)
    problem(second_step(api, challenge_of(api, user), phone.code()), 429, "too_many_requests")


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
        and "TokenPair" in str(operation["responses"].get("200", ""))
    }
    in_a_session = {"POST /auth/refresh", "POST /auth/step-ups"}
    completing = {"POST /auth/second-factors"}
    asking = {"POST /auth/login", "PUT /auth/login-links"}
    # It verifies the user, and so is two factors by itself.
    of_two_factors = {"POST /auth/passkey-logins"}
    assert giving == in_a_session | completing | of_two_factors | asking
    challenge, token = a_login_link(app, api, user)
    problem(api.log_in(user.username), 401, "second_factor_required")
    problem(
        api("PUT", "/auth/login-links", json={"challenge": challenge, "token": token}), 401, "second_factor_required"
    )
