"""The settings of passkeys: the origins where they are used, and the domain that they belong to (WebAuthn Level 3)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from authapp.config.browsers import origin_list, web_origin
from authapp.config.parsers import is_domain, is_https_or_local, is_ip_address

_ANDROID_APP = re.compile(r"android:apk-key-hash:[A-Za-z0-9_-]{43}")


@dataclass(frozen=True)
class RelyingParty:
    """Whom passkeys are made for: the domain ``id``, a ``name`` for people, and the origins where they are used."""

    id: str
    name: str
    origins: tuple[str, ...]

    @property
    def hosts(self) -> list[str]:
        """The hosts of the origins that are pages, each with its port if it is not the default."""
        return [page for origin in self.origins if (page := urlsplit(origin).netloc)]

    @property
    def related_origins(self) -> list[str]:
        """The origins of other domains: browsers accept them only if ``id`` names them (WebAuthn L3, section 5.11)."""
        return [origin for origin in self.origins if (host := host_of(origin)) and not is_within(host, self.id)]


def relying_party(origins: Sequence[str], issuer: str, rp_id: str | None, rp_name: str | None) -> RelyingParty:
    """Return the relying party of these settings.

    Without an ``rp_id`` it is the issuer's host, if an origin belongs to that domain, otherwise the first origin's
    host. Raises ``ValueError`` if no origin belongs to the domain: no browser would make a passkey for it.
    """
    hosts = [host for origin in origins if (host := host_of(origin))]
    issuer_host = urlsplit(issuer).hostname or ""
    if rp_id is None:
        is_own = is_domain(issuer_host) and (not hosts or any(is_within(host, issuer_host) for host in hosts))
        rp_id = issuer_host if is_own else next(iter(hosts), None)
    if rp_id is None or (hosts and not any(is_within(host, rp_id) for host in hosts)):
        raise ValueError("must be the host of one of AUTHAPP_ORIGINS, or a domain above it.")
    return RelyingParty(rp_id, rp_name or rp_id, tuple(origins))


def problems_of_passkeys(values: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each problem of the settings of passkeys together."""
    if values["origins"] is None or values["issuer"] is None:
        return []
    try:
        relying_party(values["origins"], values["issuer"], values["rp_id"], values["rp_name"])
    except ValueError as error:
        return [f"AUTHAPP_RP_ID {error}"]
    return []


def origins(value: str) -> tuple[str, ...]:
    """Return the origins of an ``AUTHAPP_ORIGINS``, separated by blanks or commas. Raises ``ValueError``.

    An origin is written as browsers do: without a path and a default port, in lower case.
    """
    return origin_list(value, _origin)


def rp_id(value: str) -> str:
    """Return the domain of an ``AUTHAPP_RP_ID``. Raises ``ValueError``."""
    if not is_domain(value):
        raise ValueError("must be a domain such as example.com, in lower case and ASCII, or localhost.")
    return value


def host_of(origin: str) -> str | None:
    """Return the host of an origin, or ``None`` for an app's."""
    return urlsplit(origin).hostname


def is_within(host: str, domain: str) -> bool:
    """Return whether ``host`` is ``domain``, or below it."""
    return host == domain or host.endswith(f".{domain}")


def _origin(text: str) -> str:
    if _ANDROID_APP.fullmatch(text):
        return text
    origin = web_origin(text)
    host = host_of(origin) or ""
    if is_ip_address(host):
        raise ValueError("must name hosts: passkeys belong to domains, so write http://localhost:8000 for this one.")
    if not is_https_or_local(origin) or not is_domain(host):
        raise ValueError("must be https origins with a host in ASCII, or http ones of localhost.")
    return origin
