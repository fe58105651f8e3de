"""What a provider publishes about itself: its endpoints (OpenID Connect Discovery 1.0) and its keys (RFC 7517)."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from authapp.config import ProviderSettings
from authapp.domain.providers.code_flow import ClientAuthentication
from authapp.domain.providers.kinds import ProviderClient
from authapp.security.id_tokens import JWK

CACHED_SECONDS = 3600
REFETCH_SECONDS = 60
"""A token with an unknown ``kid`` has the keys fetched again, but not more often than this."""

MAX_KEYS = 100

T = TypeVar("T")


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


class CachedDocument(Generic[T]):
    """What a provider publishes at one address. One request fetches it, and others wait for it, as long as they may."""

    def __init__(self) -> None:
        self._fetched: tuple[float, T] | None = None
        self._fetching = threading.Lock()

    def get(self, client: ProviderClient, *, fetch: Callable[[], T], seconds: Callable[[T], float]) -> T:
        """Return the document, which ``fetch`` reads anew when it is older than ``seconds`` says of it.

        Raises ``ProviderUnavailable``, and what ``fetch`` raises.
        """
        if (cached := self._cached(seconds)) is not None:
            return cached
        if not self._fetching.acquire(timeout=client.seconds_left):
            raise client.unavailable("Another request has been asking for too long.")
        try:
            # Another request may have fetched it meanwhile.
            if (cached := self._cached(seconds)) is not None:
                return cached
            document = fetch()
            self._fetched = time.monotonic(), document
            return document
        finally:
            self._fetching.release()

    def _cached(self, seconds: Callable[[T], float]) -> T | None:
        if self._fetched is None:
            return None
        fetched_at, document = self._fetched
        return document if time.monotonic() - fetched_at < seconds(document) else None


class Discovery:
    """Fetches and caches what one provider publishes, in each worker."""

    def __init__(self, provider: ProviderSettings) -> None:
        self._provider = provider
        self._metadata: CachedDocument[Metadata] = CachedDocument()
        self._keys: CachedDocument[list[JWK]] = CachedDocument()

    def metadata(self, client: ProviderClient) -> Metadata:
        """Return the endpoints. Raises ``ProviderUnavailable``."""
        address = f"{self._provider.issuer.rstrip('/')}/.well-known/openid-configuration"
        return self._metadata.get(
            client,
            fetch=lambda: self._checked(client.json(address), client),
            seconds=lambda _: CACHED_SECONDS,
        )

    def load_keys(self, client: ProviderClient) -> None:
        """Fetch the keys, unless they are cached. Raises ``ProviderUnavailable``."""
        self._cached_keys(client, lambda _: CACHED_SECONDS)

    def key(self, kid: str | None, client: ProviderClient) -> JWK | None:
        """Return the key ``kid``, or the only one if there is no ``kid``. Raises ``ProviderUnavailable``."""
        keys = self._cached_keys(client, lambda keys: CACHED_SECONDS if _find(keys, kid) else REFETCH_SECONDS)
        return _find(keys, kid)

    def _cached_keys(self, client: ProviderClient, seconds: Callable[[list[JWK]], float]) -> list[JWK]:
        address = self.metadata(client).jwks_uri
        return self._keys.get(client, fetch=lambda: _fetched_keys(address, client), seconds=seconds)

    def _checked(self, document: dict[str, Any], client: ProviderClient) -> Metadata:
        # Exactly: otherwise one provider could speak for another (Discovery 1.0, section 4.3).
        if document.get("issuer") != self._provider.issuer:
            raise client.unavailable("Its discovery document is that of another issuer.")
        names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        endpoints = {name: str(document.get(name)) for name in names}
        userinfo = document.get("userinfo_endpoint")
        given = [*endpoints.values(), *([] if userinfo is None else [str(userinfo)])]
        if not all(_is_acceptable(each, self._provider.issuer) for each in given):
            raise client.unavailable("Its discovery document lacks https endpoints.")
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


def _fetched_keys(address: str, client: ProviderClient) -> list[JWK]:
    keys = client.json(address).get("keys")
    if not isinstance(keys, list) or len(keys) > MAX_KEYS:
        raise client.unavailable("Its keys are no JWK Set.")
    return [key for key in keys if isinstance(key, dict)]


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
