"""What a provider publishes about itself: its endpoints (OpenID Connect Discovery 1.0) and its keys (RFC 7517)."""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from authapp.config import ProviderSettings
from authapp.domain.providers.code_flow import ClientAuthentication
from authapp.domain.providers.kinds import ProviderClient
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
        self._metadata: tuple[float, Metadata | None] = (-math.inf, None)
        self._keys: tuple[float, list[JWK]] = (-math.inf, [])
        self._fetching = threading.Lock()

    def metadata(self, client: ProviderClient) -> Metadata:
        """Return the endpoints. Raises ``ProviderUnavailable``."""
        found = self._cached_metadata()
        if found is None:
            with self._one_at_a_time(client):
                found = self._cached_metadata() or self._fetched_metadata(client)
        return found

    def _cached_metadata(self) -> Metadata | None:
        fetched_at, metadata = self._metadata
        return metadata if fetched_at + CACHED_SECONDS > time.monotonic() else None

    def _fetched_metadata(self, client: ProviderClient) -> Metadata:
        address = f"{self._provider.issuer.rstrip('/')}/.well-known/openid-configuration"
        metadata = self._checked(client.json(address), client)
        self._metadata = time.monotonic(), metadata
        return metadata

    def load_keys(self, client: ProviderClient) -> None:
        """Fetch the keys, unless they are cached. Raises ``ProviderUnavailable``."""
        address = self.metadata(client).jwks_uri
        if self._are_keys_old():
            with self._one_at_a_time(client):
                if self._are_keys_old():
                    self._fetch_keys(address, client)

    def _are_keys_old(self) -> bool:
        return time.monotonic() - self._keys[0] >= CACHED_SECONDS

    def key(self, kid: str | None, client: ProviderClient) -> JWK | None:
        """Return the key ``kid``, or the only one if there is no ``kid``. Raises ``ProviderUnavailable``."""
        address = self.metadata(client).jwks_uri
        if self._must_fetch_keys(kid):
            with self._one_at_a_time(client):
                if self._must_fetch_keys(kid):
                    self._fetch_keys(address, client)
        return _find(self._keys[1], kid)

    def _must_fetch_keys(self, kid: str | None) -> bool:
        fetched_at, keys = self._keys
        age = time.monotonic() - fetched_at
        return age >= (CACHED_SECONDS if _find(keys, kid) else REFETCH_SECONDS)

    def _fetch_keys(self, address: str, client: ProviderClient) -> None:
        keys = client.json(address).get("keys")
        if not isinstance(keys, list) or len(keys) > MAX_KEYS:
            raise client.unavailable("Its keys are no JWK Set.")
        self._keys = time.monotonic(), [key for key in keys if isinstance(key, dict)]

    @contextmanager
    def _one_at_a_time(self, client: ProviderClient) -> Iterator[None]:
        """Let one request fetch what others wait for, each as long as it may ask."""
        if not self._fetching.acquire(timeout=client.seconds_left):
            raise client.unavailable("Another request has been asking for too long.")
        try:
            yield
        finally:
            self._fetching.release()

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
