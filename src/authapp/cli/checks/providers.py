"""Checks of the providers that users log in by."""

from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import select

from authapp import clock
from authapp.cli.checks.result import CheckLevel, CheckResult
from authapp.config import ProviderSettings
from authapp.database.session import read_one
from authapp.domain.services import Services
from authapp.errors import ProviderUnavailable
from authapp.models import ProviderIdentity

SOON = timedelta(days=30)
_SUBJECT = "providers"


def reachable(services: Services) -> Iterator[CheckResult]:
    """Check that each provider publishes what a login needs, and that no client secret expires soon."""
    for name, settings in (services.settings.providers or {}).items():
        yield _answers(services, name)
        if settings.secret_expires is not None:
            yield _secret(settings)


def plain_http(services: Services) -> Iterator[CheckResult]:
    """Warn of plain-http redirect URIs and issuers in production."""
    settings = services.settings
    if settings.env != "production":
        return
    issuers = [each.issuer for each in (settings.providers or {}).values() if each.issuer.startswith("http:")]
    if issuers:
        sentence = f"AUTHAPP_PROVIDERS has {', '.join(issuers)}: providers on this machine, without TLS."
        yield CheckResult(CheckLevel.WARN, _SUBJECT, sentence, "Keep only those that the world can reach by https.")
    local = [uri for uri in settings.redirect_uris or () if uri.startswith("http:")]
    if local:
        sentence = f"AUTHAPP_REDIRECT_URIS has {', '.join(local)}: addresses of somebody's own machine."
        yield CheckResult(CheckLevel.WARN, _SUBJECT, sentence, "Keep only those of your front end and your apps.")


def configured(services: Services) -> Iterator[CheckResult]:
    """Check that accounts are linked with no provider that is no longer configured."""
    # By issuer, which a login asks for; a provider that has got another name goes on opening its accounts.
    issuers = [provider.issuer for provider in (services.settings.providers or {}).values()]
    other = select(ProviderIdentity.issuer).where(ProviderIdentity.issuer.not_in(issuers)).limit(1)
    if row := read_one(other):
        sentence = f"Accounts are linked with {row.issuer}, which is not configured: nobody logs in by it."
        advice = "Put it back into AUTHAPP_PROVIDERS: owners with no other way in cannot log in."
        yield CheckResult(CheckLevel.WARN, _SUBJECT, sentence, advice)


def _answers(services: Services, name: str) -> CheckResult:
    try:
        services.providers.configured.check(name)
    except ProviderUnavailable:
        sentence = f"{name} does not publish what a login needs, or cannot be reached; the log says why."
        advice = "Check its issuer in AUTHAPP_PROVIDERS, and that this host may open connections to it."
        return CheckResult(CheckLevel.FAIL, _SUBJECT, sentence, advice)
    return CheckResult(CheckLevel.OK, _SUBJECT, f"{name} answers.")


def _secret(settings: ProviderSettings) -> CheckResult:
    expires, today = settings.secret_expires, clock.now().date()
    advice = f"Make a new one at {settings.issuer}, and write it to its client_secret_file."
    if expires is None or expires > today + SOON:
        return CheckResult(CheckLevel.OK, _SUBJECT, f"The client secret of {settings.name} is good until {expires}.")
    level = CheckLevel.FAIL if expires <= today else CheckLevel.WARN
    return CheckResult(level, _SUBJECT, f"The client secret of {settings.name} expires on {expires}.", advice)
