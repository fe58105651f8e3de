"""The configured providers: starting a flow, and authenticating the user who comes back from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from authapp.config import ProviderSettings
from authapp.context import RequestContext
from authapp.database.session import transaction
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.failures import printable
from authapp.domain.http_client import HTTPClient
from authapp.domain.providers.flows import LIFETIME, Flows, OpenedFlow
from authapp.domain.providers.kinds import (
    AT_ONCE,
    MAX_BYTES,
    Adapter,
    AuthorizationResponse,
    ProviderClient,
    ProviderResponseRefused,
    ProviderTools,
    ProviderUser,
    provider_kinds,
)
from authapp.errors import FieldError, ProviderLoginFailed, ResourceNotFound, ValidationFailed


@dataclass(frozen=True)
class StartedFlow:
    """What a client gets: where to send the user, and the ``flow`` to keep. ``expires_in`` is in seconds."""

    authorization_url: str
    flow: str
    expires_in: int


@dataclass(frozen=True)
class FlowCompletion:
    """What a client sends when the user is back: its flow, and the parameters of the redirect (RFC 6749, 4.1.2)."""

    flow: str
    state: str
    code: str
    iss: str | None = None


@dataclass(frozen=True)
class AuthenticatedUser:
    """A user whom a provider has just authenticated, and the flow that is still to be used."""

    provider: ProviderSettings
    user: ProviderUser
    opened: OpenedFlow


class Provider:
    """One configured provider: its adapter, and its HTTP client."""

    def __init__(self, settings: ProviderSettings, tools: ProviderTools) -> None:
        """Raises ``KeyError`` for a kind that is not registered."""
        self.settings = settings
        self.adapter: Adapter = provider_kinds[settings.kind](settings, tools)
        # One for each provider: a slow one takes no turn from another.
        self._http = HTTPClient(at_once=AT_ONCE, max_bytes=MAX_BYTES)

    def client(self) -> ProviderClient:
        """Return the client for one login, whose time starts now."""
        return ProviderClient(self.settings, self._http)


class Providers:
    """The providers of one application."""

    def __init__(self, providers: Mapping[str, Provider], flows: Flows, redirect_uris: tuple[str, ...]) -> None:
        self._providers = providers
        self._flows = flows
        self._redirect_uris = redirect_uris

    @property
    def names(self) -> list[str]:
        """The names of all providers, as they are configured."""
        return list(self._providers)

    def find(self, name: str) -> Provider:
        """Return a provider. Raises ``ResourceNotFound``."""
        if name not in self._providers:
            raise ResourceNotFound
        return self._providers[name]

    def check(self, name: str) -> None:
        """Read what a login by a provider needs. Raises ``ResourceNotFound`` and ``ProviderUnavailable``."""
        provider = self.find(name)
        provider.adapter.check(provider.client())

    def start_flow(self, name: str, redirect_uri: str, session_id: UUID | None = None) -> StartedFlow:
        """Return a new flow; with ``session_id``, one that links an account in that session.

        Raises ``ResourceNotFound``; ``ValidationFailed`` unless the address is one of the configured ones, character by
        character (RFC 9700, section 2.1); ``ProviderUnavailable``.
        """
        provider = self.find(name)
        if redirect_uri not in self._redirect_uris:
            sentence = "Must be one of the addresses that this service has configured."
            raise ValidationFailed(field_errors=[FieldError("#/redirect_uri", sentence)])
        flow = self._flows.new(name, redirect_uri, session_id)
        url = provider.adapter.authorization_url(flow, provider.client())
        return StartedFlow(url, flow.text, int(LIFETIME.total_seconds()))

    def authenticate(
        self, name: str, completion: FlowCompletion, context: RequestContext, session_id: UUID | None = None
    ) -> AuthenticatedUser:
        """Return the user whom the provider has authenticated. No transaction may be open: it may take 5 s.

        Raises ``ResourceNotFound``, ``ProviderLoginFailed`` or ``ProviderUnavailable``.
        """
        provider = self.find(name)
        try:
            opened = self._flows.open(completion.flow, completion.state, name, session_id)
            response = AuthorizationResponse(completion.code, completion.iss)
            user = provider.adapter.user(response, opened.flow, provider.client())
        except ProviderLoginFailed:
            record_refusal(name, "the flow is not good", context)
            raise
        except ProviderResponseRefused as refused:
            record_refusal(name, str(refused), context)
            raise ProviderLoginFailed from None
        return AuthenticatedUser(provider.settings, user, opened)


def record_refusal(provider: str, reason: str, context: RequestContext, subject_id: UUID | None = None) -> None:
    """Record that a login was refused, and why; the client does not see why."""
    with transaction():
        refused = EventType.PROVIDER_REFUSED
        audit.record(refused, context=context, subject_id=subject_id, provider=provider, reason=printable(reason))
