"""Second factors for tests, and what an authenticator app and a person do with them."""

from base64 import b32decode
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

from flask import Flask

from authapp import clock
from authapp.context import OPERATOR
from authapp.domain.factors import totp
from authapp.domain.services import Services
from authapp.domain.sessions.token_pairs import TokenPair
from authapp.models import User
from factories import GUEST, PASSWORD, Api, a_user, problem


@dataclass
class AuthenticatorApp:
    """What is on the phone: the secret. ``recovery_codes`` are on paper."""

    secret: bytes
    recovery_codes: list[str] = field(default_factory=list)

    @classmethod
    def scanned(cls, otpauth_uri: str) -> "AuthenticatorApp":
        """Read the URI of a QR code."""
        secret = parse_qs(urlsplit(otpauth_uri).query)["secret"][0]
        return cls(b32decode(secret))

    def code(self, steps: int = 0) -> str:
        """Return the code that is shown now, or so many steps later."""
        return totp.code_at(self.secret, totp.step_at(clock.now()) + steps)

    def wrong_code(self) -> str:
        """Return six digits that are no code of the steps around now."""
        around = {self.code(steps) for steps in range(-3, 4)}
        return next(
            code
            for code in ("000000", "111111", "222222", "333333", "444444", "555555", "666666", "777777")
            if code not in around
        )


def a_verified_user(app: Flask) -> User:
    """Create an account that no mail to its address takes back from whoever adds a factor."""
    user = a_user(app)
    with app.app_context():
        return Services.of(app).email.verifications.mark(user.username, OPERATOR)


def an_app(app: Flask, user: User) -> AuthenticatorApp:
    """Add an authenticator app to an account. The code of the step before is used up by that."""
    # The clock stands still meanwhile: at the end of a step, that code would become one of two steps before.
    with app.app_context(), patch.object(clock, "now", return_value=clock.now()):
        services = Services.of(app)
        enrolment = services.factors.totp_enrolment.begin(user.id, GUEST)
        phone = AuthenticatorApp.scanned(enrolment.otpauth_uri)
        phone.recovery_codes = services.factors.totp_enrolment.confirm(user.id, phone.code(-1), GUEST, scope=None)
    return phone


def challenge_of(api: Api, user: User, password: str = PASSWORD) -> str:
    """Log in with the password, and return the challenge for the second step."""
    body = problem(api.log_in(user.username, password), 401, "second_factor_required")
    return str(body["challenge"])


def second_step(api: Api, challenge: str, code: str, factor: str = "totp") -> Any:
    """Complete a login."""
    return api.post("/auth/second-factors", {"challenge": challenge, "factor": factor, "code": code})


def a_session_with_two_factors(app: Flask, api: Api, user: User, phone: AuthenticatorApp, steps: int = 0) -> TokenPair:
    """Log in with the password and a code."""
    response = second_step(api, challenge_of(api, user), phone.code(steps))
    assert response.status_code == 200, response.text
    return TokenPair(**response.get_json())
