"""Checks of the settings."""

import time
from collections.abc import Iterator

from flask import current_app

from authapp.cli.checks.result import CheckLevel, CheckResult
from authapp.config import OWASP_ARGON2
from authapp.context import OPERATOR
from authapp.domain.services import Services
from authapp.models.role import ADMIN

TRUSTS_PROXIES = "authapp.trusts_proxies"
"""The key in ``app.extensions`` of an application to which ``AUTHAPP_TRUSTED_PROXIES`` is applied."""

HASH_SECONDS = (0.005, 0.5)


def environment(services: Services) -> CheckResult:
    """Check that the settings are those of production."""
    if services.settings.env == "production":
        return CheckResult(CheckLevel.OK, "settings", "They can be used, for production.")
    return CheckResult(
        CheckLevel.WARN,
        "settings",
        "AUTHAPP_ENV is development: missing keys and a missing database get defaults.",
        "Set AUTHAPP_ENV=production where people depend on it.",
    )


def proxies(services: Services) -> CheckResult:
    """Check the issuer and the number of trusted proxies."""
    hops, issuer = services.settings.trusted_proxies, services.settings.issuer
    is_applied = TRUSTS_PROXIES in current_app.extensions
    if hops and not is_applied:
        return CheckResult(
            CheckLevel.WARN,
            "proxies",
            "AUTHAPP_TRUSTED_PROXIES does nothing here: this application was not made by create_app.",
            f"Wrap it yourself, app.wsgi_app = TrustedProxies(app.wsgi_app, {hops}), and unset the variable.",
        )
    if issuer.startswith("https://") and hops == 0 and is_applied:
        return CheckResult(
            CheckLevel.WARN,
            "proxies",
            "The issuer is https and no proxy is trusted: behind one, all clients share its address and limits.",
            "Set AUTHAPP_TRUSTED_PROXIES to the number of proxies in front.",
        )
    if issuer.startswith("http://") and services.settings.env == "production":
        advice = "Serve it by TLS and set AUTHAPP_ISSUER to https://..."
        return CheckResult(CheckLevel.WARN, "proxies", "The issuer is plain http: tokens travel in the open.", advice)
    return CheckResult(
        CheckLevel.OK, "proxies", f"{hops} trusted." if is_applied else "Trusting some is up to this application."
    )


def required_factors(services: Services) -> Iterator[CheckResult]:
    """Check that administrators need a second factor, where the service has second factors."""
    subject = "second factors"
    if not services.factors.offered:
        return
    if ADMIN in (services.settings.second_factor_required_roles or ()):
        yield CheckResult(CheckLevel.OK, subject, "Administrators need one.")
        return
    sentence, advice = "Administrators need none.", "Set AUTHAPP_SECOND_FACTOR_REQUIRED_ROLES=admin."
    yield CheckResult(CheckLevel.WARN, subject, sentence, advice)


def hashing(services: Services) -> CheckResult:
    """Check what a password hash costs, by measuring one."""
    start = time.perf_counter()
    services.hasher.hash("a password to measure with", OPERATOR)
    seconds = time.perf_counter() - start
    sentence = f"A password takes {seconds * 1000:.0f} ms and {services.settings.argon2_memory_kib} KiB."
    weak = any(getattr(services.settings, name) < floor for name, floor in OWASP_ARGON2.items())
    least, most = HASH_SECONDS
    if weak:
        advice = "Leave AUTHAPP_ARGON2_MEMORY_KIB and AUTHAPP_ARGON2_TIME_COST unset for OWASP's figure."
        return CheckResult(CheckLevel.FAIL, "hashing", f"{sentence} That is below OWASP's floor.", advice)
    if seconds < least:
        return CheckResult(
            CheckLevel.WARN, "hashing", sentence, "Raise AUTHAPP_ARGON2_MEMORY_KIB: this machine can do more."
        )
    if seconds > most:
        return CheckResult(CheckLevel.WARN, "hashing", sentence, "Lower AUTHAPP_ARGON2_*, or use a faster machine.")
    return CheckResult(CheckLevel.OK, "hashing", sentence)
