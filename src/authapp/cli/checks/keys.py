"""Checks of the keys that sign, and of those that encrypt."""

from collections.abc import Mapping

from authapp import clock
from authapp.cli.checks.result import CheckLevel, CheckResult
from authapp.domain.readiness_checks import HealthProblem
from authapp.domain.services import Services
from authapp.security.keys import Key

KEY_AGE_DAYS = 365


def age(services: Services) -> CheckResult:
    """Check the age of the key that signs."""
    key = services.tokens.keys.signing
    made = key.jwk.get("iat")
    # Keys from other tools have no date, which is fine. A warning would never go away until a good key is replaced.
    if made is None:
        return CheckResult(CheckLevel.OK, "signing key", f"{key.kid} does not say how old it is.")
    days = int((clock.now().timestamp() - made) // 86_400)
    if days > KEY_AGE_DAYS:
        return CheckResult(
            CheckLevel.WARN, "signing key", f"{key.kid} is {days} days old.", "Replace it: flask keys rotate"
        )
    return CheckResult(CheckLevel.OK, "signing key", f"{key.kid} is {days} days old.")


def strengths(services: Services) -> list[CheckResult]:
    """Check the algorithm of each key."""
    return [_strength(key) for key in services.tokens.keys]


def encryption(services: Services, problems: Mapping[str, HealthProblem]) -> CheckResult:
    """Check that every key is there with which secrets are encrypted, from the problems of the readiness check."""
    subject, keys = "encryption keys", services.encryption_keys
    if problem := problems.get("encryption_keys"):
        advice = "Add the missing key to AUTHAPP_ENCRYPTION_KEYS: until then the owners of these factors cannot log in."
        return CheckResult(CheckLevel.FAIL, subject, problem.for_operator, advice)
    if keys is None:
        return CheckResult(CheckLevel.OK, subject, "AUTHAPP_ENCRYPTION_KEYS is not set: nobody can use TOTP.")
    return CheckResult(CheckLevel.OK, subject, f"{keys.first.kid} encrypts, and every key that is needed is there.")


def _strength(key: Key) -> CheckResult:
    if key.alg == "HS256":
        sentence = f"{key.kid} is HS256: every service that can verify a token can also sign one."
        return CheckResult(
            CheckLevel.WARN, "key", sentence, "Use ES256 when other services verify: flask keys rotate --alg ES256"
        )
    return CheckResult(CheckLevel.OK, "key", f"{key.kid} is {key.alg}.")
