"""The kinds of providers: how users log in by each. Ours are in ``openid`` and ``github``; yours, with you."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from authapp.config import ProviderSettings
from authapp.domain.http_client import HTTPClient, HTTPFailure, HTTPRequest, HTTPResponse
from authapp.domain.providers.flows import ProviderFlow
from authapp.errors import ProviderUnavailable
from authapp.registry import Registry
from authapp.security import strict_json
from authapp.security.id_tokens import MAX_SUBJECT

logger = logging.getLogger(__name__)

SECONDS = 5.0
"""How long a login may ask a provider, all requests together."""

AT_ONCE = 4
"""How many requests a worker sends to one provider at once."""

MAX_BYTES = 64 * 1024
"""The longest response that is read."""

RETRY_AFTER = 5


@dataclass(frozen=True)
class ProviderUser:
    """A user as the provider knows them. Only ``subject`` identifies; it never changes, and is nobody else's.

    It is 1 to 255 printable characters; otherwise ``ProviderResponseRefused`` is raised. ``email_verified`` is what the
    provider says, whether or not it is trusted. ``names`` are what a username is made of, the best first.
    """

    subject: str
    email: str | None = None
    email_verified: bool = False
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        subject: object = self.subject  # of an adapter that nobody may have type-checked
        if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT or not subject.isprintable():
            raise ProviderResponseRefused("the subject is not 1 to 255 printable characters")


class ProviderClient:
    """Sends the requests of one login to one provider. All of them together have one deadline."""

    def __init__(self, provider: ProviderSettings, http: HTTPClient, seconds: float = SECONDS) -> None:
        self._provider = provider
        self._http = http
        self._until = time.monotonic() + seconds

    @property
    def seconds_left(self) -> float:
        """How long the requests of this login may still take."""
        return max(0.0, self._until - time.monotonic())

    def fetch(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> HTTPResponse:
        """Return the response, if it is no fault of the server and no redirect. Raises ``ProviderUnavailable``.

        Another host than the issuer's must have a public address: what a provider names must not lead into the network
        of this service.
        """
        is_other = urlsplit(url).hostname != urlsplit(self._provider.issuer).hostname
        request = HTTPRequest(url, method, {"Accept": "application/json", **(headers or {})}, body, is_other)
        try:
            response = self._http.fetch(request, self.seconds_left)
        except HTTPFailure as failure:
            raise self.unavailable(str(failure)) from None
        if response.status >= 500 or response.status in {408, 429} or 300 <= response.status < 400:
            raise self.unavailable(f"The server answered {response.status}.")
        return response

    def json(self, url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the JSON object at ``url``. Raises ``ProviderUnavailable``."""
        response = self.fetch(url, headers=headers)
        if response.status != 200:
            raise self.unavailable(f"The server answered {response.status}.")
        return self.object_in(response)

    def object_in(self, response: HTTPResponse) -> dict[str, Any]:
        """Return the JSON object in a response. Raises ``ProviderUnavailable``."""
        try:
            return strict_json.loads_object(response.body)
        except ValueError:
            raise self.unavailable("The response is no JSON object.") from None

    def unavailable(self, why: str) -> ProviderUnavailable:
        """Return the refusal for a provider that does not answer as it should, and log why."""
        logger.warning("the provider %s cannot be used: %s", self._provider.name, why)
        return ProviderUnavailable(retry_after=RETRY_AFTER)


@dataclass(frozen=True)
class AuthorizationResponse:
    """What the provider's redirect carried (RFC 6749, section 4.1.2): a ``code``, and the ``iss`` of RFC 9207."""

    code: str
    issuer: str | None


class Adapter(Protocol):
    """How users log in by one provider. All methods raise ``ProviderUnavailable``."""

    def check(self, client: ProviderClient) -> None:
        """Read what a login needs to read before there is a code; ``flask doctor`` asks for it."""

    def authorization_url(self, flow: ProviderFlow, client: ProviderClient) -> str:
        """Return where the user is sent."""

    def user(self, response: AuthorizationResponse, flow: ProviderFlow, client: ProviderClient) -> ProviderUser:
        """Return the user whom ``response`` is about. Raises ``ProviderResponseRefused``."""


class ProviderResponseRefused(Exception):
    """A response of a provider is not accepted. The message says why, for the audit trail alone."""


@dataclass(frozen=True)
class ProviderTools:
    """What adapters are made of. ``leeway`` is in seconds."""

    leeway: int


ProviderKind = Callable[[ProviderSettings, ProviderTools], Adapter]
"""Makes the adapter of one provider."""

provider_kinds: Registry[ProviderKind] = Registry("kind of provider", r"[a-z][a-z_]{0,39}", "use 1 to 40 of a-z and _.")
"""The registered kinds, which ``AUTHAPP_PROVIDERS`` names."""
