"""Checks of the settings of browsers."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from authapp.cli.checks.result import CheckLevel, CheckResult
from authapp.config import Settings
from authapp.domain.services import Services


def cookie(services: Services) -> Iterator[CheckResult]:
    """Check that browsers can keep and send the refresh cookie, where it is switched on."""
    settings, subject = services.settings, "refresh cookie"
    if settings.refresh_cookie == "off":
        return
    if strangers := _of_other_sites(settings):
        sentence = f"Browsers keep it from pages of another site: {', '.join(strangers)}."
        advice = "Serve them and authapp below one domain, by https; their pages use the body until then."
        yield CheckResult(CheckLevel.WARN, subject, sentence, advice)
    else:
        yield CheckResult(CheckLevel.OK, subject, "No listed page is known to be of another site.")


def _of_other_sites(settings: Settings) -> list[str]:
    """Return the listed origins that are certainly of another site than the issuer (HTML Standard, "same site").

    Hosts of one site have at least the last two labels in common. Whether those are enough is for the list of public
    suffixes to say, which is not here: of ``.co.uk``, nothing is known.
    """
    issuer = urlsplit(settings.issuer)
    listed = ((text, urlsplit(text)) for text in settings.cors_origins or ())
    return [
        text
        for text, url in listed
        if (url.scheme, _end(url.hostname or "")) != (issuer.scheme, _end(issuer.hostname or ""))
    ]


def _end(host: str) -> str:
    """Return the last two labels of a host, or all of an address."""
    labels = host.split(".")
    return host if labels[-1].isdecimal() else ".".join(labels[-2:])
