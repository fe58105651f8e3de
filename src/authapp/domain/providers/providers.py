"""What logins and links have in common: beginning a flow, and reading the answer that ends it."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from authapp.config import ProviderSettings
from authapp.context import RequestContext
from authapp.database.session import transaction
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.http_client import HTTPClient
from authapp.domain.providers.flows import LIFETIME, Flows, OpenedFlow
from authapp.domain.providers.kinds import (
    AT_ONCE,
    MAX_BYTES,
    Adapter,
    ProviderAnswer,
    ProviderAnswerRefused,
    ProviderQuestions,
    ProviderTools,
    ProviderUser,
    provider_kinds,
)
from authapp.errors import FieldError, ProviderLoginFailed, ResourceNotFound, ValidationFailed


@dataclass(frozen=True)
class BegunFlow:
    """What a client gets: where to send the user, and the ``flow`` to keep. ``expires_in`` is in seconds."""

    authorization_url: str
    flow: str
    expires_in: int


@dataclass(frozen=True)
class FlowAnswer:
    """What a client sends when the user is back: its flow, and the parameters of the redirect."""

    flow: str
    state: str
    code: str
    iss: str | None = None


@dataclass(frozen=True)
class ProvenUser:
    """A user whom a provider has just authenticated, and the flow that is still to be consumed."""

    provider: ProviderSettings
    user: ProviderUser
    opened: OpenedFlow


class Provider:
    """One configured provider: its adapter, and the client that asks it."""

    def __init__(self, settings: ProviderSettings, tools: ProviderTools) -> None:
        """Raises ``KeyError`` for a kind that is not registered."""
        self.settings = settings
        self.adapter: Adapter = provider_kinds[settings.kind](settings, tools)
        # Each its own: who waits for one provider takes no turn from another.
        self._client = HTTPClient(at_once=AT_ONCE, max_bytes=MAX_BYTES)

    def questions(self) -> ProviderQuestions:
        """Return the questions of one request; their time starts now."""
        return ProviderQuestions(self.settings, self._client)


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

    def begin_flow(self, name: str, redirect_uri: str, session_id: UUID | None = None) -> BegunFlow:
        """Return a new flow; with ``session_id``, one that links an account in that session.

        Raises ``ResourceNotFound``; ``ValidationFailed`` unless the address is one of the configured ones, character by
        character (RFC 9700, section 2.1); ``ProviderUnavailable``.
        """
        provider = self.find(name)
        if redirect_uri not in self._redirect_uris:
            sentence = "Must be one of the addresses that this service has configured."
            raise ValidationFailed(field_errors=[FieldError("#/redirect_uri", sentence)])
        flow = self._flows.make(name, redirect_uri, session_id)
        url = provider.adapter.authorization_url(flow, provider.questions())
        return BegunFlow(url, flow.text, int(LIFETIME.total_seconds()))

    def prove(
        self, name: str, answer: FlowAnswer, context: RequestContext, session_id: UUID | None = None
    ) -> ProvenUser:
        """Return the user whom the provider has authenticated. No transaction may be open: it may take 5 s.

        Raises ``ResourceNotFound``, ``ProviderLoginFailed`` or ``ProviderUnavailable``.
        """
        provider = self.find(name)
        try:
            opened = self._flows.open(answer.flow, answer.state, name, session_id)
            came_back = ProviderAnswer(answer.code, answer.iss)
            user = provider.adapter.user(came_back, opened.flow, provider.questions())
        except ProviderLoginFailed:
            record_refusal(name, "the flow is not good", context)
            raise
        except ProviderAnswerRefused as refused:
            record_refusal(name, str(refused), context)
            raise ProviderLoginFailed from None
        return ProvenUser(provider.settings, user, opened)


def record_refusal(provider: str, reason: str, context: RequestContext, subject_id: UUID | None = None) -> None:
    """Record that an answer was refused, and why, which the client is not told."""
    with transaction():
        refused = EventType.PROVIDER_REFUSED
        audit.record(refused, context=context, subject_id=subject_id, provider=provider, reason=reason)
