"""Flows: one login by a provider each, from begin to end, held by the client that began it and stored nowhere."""

import hmac
import json
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from uuid import UUID

from authapp.domain.used_challenges import use_challenge
from authapp.errors import ProviderLoginFailed
from authapp.security import base64url
from authapp.security.signed_challenges import CHALLENGE_BYTES, SignedChallenges, VerifiedChallenge

LIFETIME = timedelta(minutes=10)
"""People may have to prove a second factor to their provider, too."""

_PURPOSE = "provider"


@dataclass(frozen=True)
class ProviderFlow:
    """A login by ``provider`` that comes back to ``redirect_uri``; with ``session_id``, it links an account.

    ``state``, ``nonce`` and ``verifier`` are hashes of it, each under a name of its own: none of them tells another.
    """

    provider: str
    redirect_uri: str
    session_id: UUID | None
    signed: bytes

    @property
    def text(self) -> str:
        """What the client keeps. It is never in an address."""
        return base64url.encode(self.signed)

    @property
    def state(self) -> str:
        """What the provider sends back (RFC 6749, section 4.1.1)."""
        return base64url.encode(sha256(self.text.encode()).digest())

    @property
    def nonce(self) -> str:
        """What the ID token repeats."""
        return self._derived("nonce")

    @property
    def verifier(self) -> str:
        """The code verifier of PKCE (RFC 7636, section 4.1)."""
        return self._derived("verifier")

    @property
    def challenge(self) -> str:
        """The code challenge of PKCE, by S256."""
        return base64url.encode(sha256(self.verifier.encode()).digest())

    def _derived(self, name: str) -> str:
        return base64url.encode(sha256(f"authapp {name} ".encode() + self.signed).digest())


@dataclass(frozen=True)
class OpenedFlow:
    """A flow that was signed here and has not expired, and what is stored when it is used."""

    flow: ProviderFlow
    challenge: VerifiedChallenge

    def use(self) -> None:
        """Note within the open transaction that the flow was used. Raises ``ProviderLoginFailed`` if it had been."""
        # Whose it is was not known when it was signed.
        if not use_challenge(self.challenge, None):
            raise ProviderLoginFailed("The flow was used before.")


class Flows:
    """The flows of one application."""

    def __init__(self, challenges: SignedChallenges) -> None:
        self._challenges = challenges

    def new(self, provider: str, redirect_uri: str, session_id: UUID | None) -> ProviderFlow:
        """Return a new flow. It is good for ``LIFETIME``."""
        members = {"provider": provider, "redirect_uri": redirect_uri}
        if session_id is not None:
            members["session_id"] = str(session_id)
        encoded = json.dumps(members, separators=(",", ":")).encode()
        return ProviderFlow(
            provider, redirect_uri, session_id, self._challenges.sign(_PURPOSE, encoded, LIFETIME) + encoded
        )

    def open(self, text: str, state: str, provider: str, session_id: UUID | None) -> OpenedFlow:
        """Return the flow in ``text``, which the provider has answered with ``state``.

        Raises ``ProviderLoginFailed`` if it was not signed here for this provider and this session, or has expired, or
        if ``state`` is another flow's.
        """
        try:
            signed = base64url.decode(text)
            encoded = signed[CHALLENGE_BYTES:]
            challenge = self._challenges.verify(_PURPOSE, encoded, signed[:CHALLENGE_BYTES])
        except ValueError:
            raise ProviderLoginFailed from None
        members = json.loads(encoded)
        linking = UUID(members["session_id"]) if "session_id" in members else None
        flow = ProviderFlow(members["provider"], members["redirect_uri"], linking, signed)
        is_answered = hmac.compare_digest(flow.state.encode(), state.encode())
        if not is_answered or flow.provider != provider or flow.session_id != session_id:
            raise ProviderLoginFailed
        return OpenedFlow(flow, challenge)
