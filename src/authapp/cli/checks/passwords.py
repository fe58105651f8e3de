"""Checks of the list of breached passwords."""

from authapp.cli.checks.result import CheckLevel, CheckResult
from authapp.domain.passwords.breach_source import BreachSourceError, sha1_hex
from authapp.domain.services import Services

_SUBJECT = "breached passwords"
_ADVICE = "Check AUTHAPP_BREACHED_PASSWORDS: meanwhile no new password is looked up."


def breached_list(services: Services) -> CheckResult:
    """Check that the list of breached passwords answers, and is in order as far as can be seen."""
    breached = services.password_policy.breached
    if breached is None:
        return CheckResult(CheckLevel.OK, _SUBJECT, "None is configured.")
    try:
        breached.source.check()
        known = breached.source.has_digest(sha1_hex("password"))
    except BreachSourceError as error:
        return CheckResult(CheckLevel.FAIL, _SUBJECT, str(error), _ADVICE)
    if not known:
        sentence = "The list does not have the word password, which is in every large one."
        return CheckResult(CheckLevel.WARN, _SUBJECT, sentence, "Check that it is the list that you mean.")
    return CheckResult(CheckLevel.OK, _SUBJECT, "The list answers.")
