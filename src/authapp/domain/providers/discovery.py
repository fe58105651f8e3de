"""What a provider publishes about itself: its endpoints (OpenID Connect Discovery 1.0) and its keys (RFC 7517)."""

import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from authapp.config import ProviderSettings
from authapp.domain.providers.code_flow import ClientAuthentication
from authapp.domain.providers.kinds import ProviderQuestions
from authapp.security.id_tokens import JWK

CACHED_SECONDS = 3600
REFETCH_SECONDS = 60
"""A token with an unknown ``kid`` has the keys fetched again, but not more often than this."""

MAX_KEYS = 100


@dataclass(frozen=True)
class Metadata:
    """The part of a discovery document that is used."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    authentication: ClientAuthentication
    sends_issuer: bool
    """Whether it names itself when it sends users back (RFC 9207)."""


class Discovery:
    """Fetches and caches what one provider publishes, in each worker."""

    def __init__(self, provider: ProviderSettings) -> None:
        self._provider = provider
        self._metadata: tuple[float, Metadata] | None = None
        self._keys: tuple[float, list[JWK]] | None = None

    def metadata(self, questions: ProviderQuestions) -> Metadata:
        """Return the endpoints. Raises ``ProviderUnavailable``."""
        cached = self._metadata
        if cached is None or cached[0] + CACHED_SECONDS <= time.monotonic():
            address = f"{self._provider.issuer.rstrip('/')}/.well-known/openid-configuration"
            cached = time.monotonic(), self._checked(questions.json(address), questions)
            self._metadata = cached
        return cached[1]

    def key(self, kid: str | None, questions: ProviderQuestions) -> JWK | None:
        """Return the key ``kid``, or the only one if there is no ``kid``. Raises ``ProviderUnavailable``."""
        cached = self._keys
        age = None if cached is None else time.monotonic() - cached[0]
        if cached is not None and age is not None and age < CACHED_SECONDS:
            found = _find(cached[1], kid)
            if found is not None or age < REFETCH_SECONDS:
                return found
        keys = questions.json(self.metadata(questions).jwks_uri).get("keys")
        if not isinstance(keys, list) or len(keys) > MAX_KEYS:
            raise questions.unavailable("Its keys are no JWK Set.")
        usable = [key for key in keys if isinstance(key, dict)]
        self._keys = time.monotonic(), usable
        return _find(usable, kid)

    def _checked(self, document: dict[str, Any], questions: ProviderQuestions) -> Metadata:
        # Exactly: otherwise one provider could speak for another (Discovery 1.0, section 4.3).
        if document.get("issuer") != self._provider.issuer:
            raise questions.unavailable("Its discovery document is that of another issuer.")
        names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        endpoints = {name: str(document.get(name)) for name in names}
        userinfo = document.get("userinfo_endpoint")
        given = [*endpoints.values(), *([] if userinfo is None else [str(userinfo)])]
        if not all(_is_acceptable(each, self._provider.issuer) for each in given):
            raise questions.unavailable("Its discovery document lacks https endpoints.")
        methods = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        is_basic = not isinstance(methods, list) or "client_secret_basic" in methods
        return Metadata(
            authorization_endpoint=endpoints["authorization_endpoint"],
            token_endpoint=endpoints["token_endpoint"],
            jwks_uri=endpoints["jwks_uri"],
            userinfo_endpoint=userinfo,
            authentication="client_secret_basic" if is_basic else "client_secret_post",
            sends_issuer=document.get("authorization_response_iss_parameter_supported") is True,
        )


def _is_acceptable(endpoint: str, issuer: str) -> bool:
    """Return whether an endpoint is https; or http and of the same host as an issuer that is, on this machine."""
    try:
        url, issuers = urlsplit(endpoint), urlsplit(issuer)
        port = url.port
    except ValueError:
        return False
    if url.username is not None or url.fragment or port == 0 or not url.hostname:
        return False
    return url.scheme == "https" or (url.scheme == issuers.scheme == "http" and url.hostname == issuers.hostname)


def _find(keys: list[JWK], kid: str | None) -> JWK | None:
    if kid is None:
        return keys[0] if len(keys) == 1 else None
    return next((key for key in keys if key.get("kid") == kid), None)
