"""Guesses at second factors: wrong codes are counted by account, over logins and step-ups."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from flask import Flask

from authapp import hooks
from authapp.context import MULTI_FACTOR, OPERATOR
from authapp.domain.factors import pending_logins
from authapp.domain.factors.pending_logins import MAX_FAILURES
from authapp.domain.services import Services
from authapp.domain.sessions.authentication import AuthenticationResult
from authapp.domain.token_purposes import TokenPurpose
from authapp.errors import PermissionDenied
from authapp.models import User
from clocks import Time
from factories import PASSWORD, Api, a_session, a_token, all_events, problem
from factors import AuthenticatorApp, a_session_with_two_factors, a_verified_user, challenge_of, second_step


@pytest.fixture
def user(app: Flask, time: Time) -> User:
    del time
    return a_verified_user(app)


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
    return len(all_events(app, "second_factor.refused"))


def test_codes_cannot_be_guessed_over_many_challenges_and_a_new_password_gives_no_more_guesses(
    app: Flask, api: Api, user: User, phone: AuthenticatorApp, time: Time
) -> None:
    challenge = locked_out(api, user, phone, time)
    assert guesses(app) == Services.of(app).settings.login_failures_max // 2
    problem(second_step(api, challenge, phone.code()), 429, "too_many_requests")
    body = {"token": a_token(app, user, TokenPurpose.RESET_PASSWORD), "new_password": "another sentence"}
    assert api("PUT", "/auth/password-resets", json=body).status_code == 204
    problem(second_step(api, challenge_of(api, user, body["new_password"]), phone.code()), 429, "too_many_requests")
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


def test_a_right_code_in_a_step_up_forgets_the_wrong_ones(
    app: Flask, api: Api, user: User, phone: AuthenticatorApp, time: Time
) -> None:
    token = a_session_with_two_factors(app, api, user, phone).access_token
    for _ in range(3):
        time.passes(seconds=30)
        guess(api, user, phone, 9)
        stepped_up = api.post("/auth/step-ups", {"code": phone.code()}, token)
        assert stepped_up.status_code == 200, stepped_up.text
        token = stepped_up.get_json()["access_token"]


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
    assert [event.details for event in all_events(app, "login.refused")] == [
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
    assert [event.details for event in all_events(app, "login.refused")] == [
        {"factor": "totp", "code": "challenge_invalid"}
    ]
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


@pytest.mark.parametrize(
    ("method", "path", "others"),
    [
        ("POST", "/auth/second-factors", {"challenge": "x", "factor": "recovery_code"}),
        ("POST", "/auth/step-ups", {}),
        ("PUT", "/auth/login-links", {"challenge": "x"}),
        ("PUT", "/users/me/totp", {}),
    ],
)
def test_a_code_that_is_longer_than_any_is_not_looked_at(
    app: Flask, api: Api, user: User, method: str, path: str, others: dict[str, str]
) -> None:
    token = a_session(app, user).access_token
    refused = api(method, path, token, json={**others, "code": "-" * 65})
    assert [error["pointer"] for error in problem(refused, 422, "validation_failed")["errors"]] == ["#/code"]
    assert api(method, path, token, json={**others, "code": "-" * 64}).status_code in {400, 401}
