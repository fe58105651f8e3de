"""The kinds of providers: how each is asked who a user is. Ours are in ``openid`` and ``github``; yours, with you."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from authapp.config import ProviderSettings
from authapp.domain.http_client import HTTPAnswer, HTTPClient, HTTPFailure, HTTPQuestion
from authapp.domain.providers.flows import ProviderFlow
from authapp.errors import ProviderUnavailable
from authapp.registry import Registry
from authapp.security import strict_json
from authapp.security.id_tokens import MAX_SUBJECT

logger = logging.getLogger(__name__)

SECONDS = 5.0
"""How long a login may ask a provider, all questions together."""

AT_ONCE = 4
"""How many questions a worker asks one provider at once."""

MAX_BYTES = 64 * 1024
"""The longest answer that is read."""

RETRY_AFTER = 5


@dataclass(frozen=True)
class ProviderUser:
    """A user as the provider knows them. Only ``subject`` identifies; it never changes, and is nobody else's.

    It is 1 to 255 printable characters; otherwise ``ProviderAnswerRefused`` is raised. ``email_verified`` is what the
    provider says, whether or not it is trusted. ``names`` are what a username is made of, the best first.
    """

    subject: str
    email: str | None = None
    email_verified: bool = False
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        subject: object = self.subject  # of an adapter that nobody may have type-checked
        if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT or not subject.isprintable():
            raise ProviderAnswerRefused("the subject is not 1 to 255 printable characters")


class ProviderQuestions:
    """The questions of one login to one provider: all have one limit of time."""

    def __init__(self, provider: ProviderSettings, client: HTTPClient, seconds: float = SECONDS) -> None:
        self._provider = provider
        self._client = client
        self._until = time.monotonic() + seconds

    @property
    def seconds_left(self) -> float:
        """How long this login may still ask."""
        return max(0.0, self._until - time.monotonic())

    def ask(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> HTTPAnswer:
        """Return the answer, if it is no fault of the server and no redirect. Raises ``ProviderUnavailable``.

        Another host than the issuer's must have a public address: what a provider names must not lead into the network
        of this service.
        """
        is_other = urlsplit(url).hostname != urlsplit(self._provider.issuer).hostname
        question = HTTPQuestion(url, method, {"Accept": "application/json", **(headers or {})}, body, is_other)
        try:
            answer = self._client.ask(question, self.seconds_left)
        except HTTPFailure as failure:
            raise self.unavailable(str(failure)) from None
        if answer.status >= 500 or answer.status in {408, 429} or 300 <= answer.status < 400:
            raise self.unavailable(f"The server answered {answer.status}.")
        return answer

    def json(self, url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the JSON object at ``url``. Raises ``ProviderUnavailable``."""
        answer = self.ask(url, headers=headers)
        if answer.status != 200:
            raise self.unavailable(f"The server answered {answer.status}.")
        return self.object_in(answer)

    def object_in(self, answer: HTTPAnswer) -> dict[str, Any]:
        """Return the JSON object of an answer. Raises ``ProviderUnavailable``."""
        try:
            return strict_json.loads_object(answer.body)
        except ValueError:
            raise self.unavailable("The answer is no JSON object.") from None

    def unavailable(self, why: str) -> ProviderUnavailable:
        """Return the refusal for a provider that does not answer as it should, and log why."""
        logger.warning("the provider %s cannot be asked: %s", self._provider.name, why)
        return ProviderUnavailable(retry_after=RETRY_AFTER)


@dataclass(frozen=True)
class ProviderAnswer:
    """What the provider sent back with the user: the ``code``, and who it says it is (``iss``, RFC 9207)."""

    code: str
    issuer: str | None


class Adapter(Protocol):
    """How one provider is asked. Both methods raise ``ProviderUnavailable``."""

    def authorization_url(self, flow: ProviderFlow, questions: ProviderQuestions) -> str:
        """Return where the user is sent."""

    def user(self, answer: ProviderAnswer, flow: ProviderFlow, questions: ProviderQuestions) -> ProviderUser:
        """Return the user who came back with ``answer``. Raises ``ProviderAnswerRefused``."""


class ProviderAnswerRefused(Exception):
    """The answer of a provider is not accepted. The message says why; the client is not told."""


@dataclass(frozen=True)
class ProviderTools:
    """What adapters are made of. ``leeway`` is in seconds."""

    leeway: int


ProviderKind = Callable[[ProviderSettings, ProviderTools], Adapter]
"""Makes the adapter of one provider."""

provider_kinds: Registry[ProviderKind] = Registry("kind of provider", r"[a-z][a-z_]{0,39}", "use 1 to 40 of a-z and _.")
"""The registered kinds, which ``AUTHAPP_PROVIDERS`` names."""
