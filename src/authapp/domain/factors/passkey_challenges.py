"""Challenges of passkeys: signed for a purpose, and used once."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from authapp.config import RelyingParty
from authapp.domain.factors.kinds import FactorTools
from authapp.security import base64url
from authapp.security.passkey_framing import PublicKeyCredentialJSON, ResponseRefused
from authapp.security.passkey_responses import challenge_of
from authapp.security.signed_challenges import SignedChallenges, VerifiedChallenge


class ChallengePurpose(StrEnum):
    """What a challenge is for. It is good for nothing else.

    A challenge for a registration is bound to the session, one for a second factor to the challenge of its login. One
    for a login is bound to nothing, since there is nobody yet. It also serves a step-up, which needs a session besides:
    whoever had the answer to one could as well log in with it, so that binding it to the session would protect nothing.
    """

    REGISTER = "register"
    LOGIN = "login"
    SECOND_FACTOR = "second_factor"

    @property
    def requires_user_verification(self) -> bool:
        """Whether the authenticator must verify the user. A second factor stands beside a first one."""
        return self is not ChallengePurpose.SECOND_FACTOR


@dataclass(frozen=True)
class PasskeyAnswer:
    """What a client sends: what its authenticator returned, and the ``challenge_id`` that it was asked with."""

    credential: PublicKeyCredentialJSON
    challenge_id: str | None = None


class PasskeyChallenges:
    """The challenges of one application, and the relying party whose pages answer them."""

    def __init__(self, signed: SignedChallenges, party: RelyingParty | None) -> None:
        self._signed = signed
        self._optional_party = party

    @classmethod
    def of(cls, tools: FactorTools) -> Self:
        """Return those of an application."""
        return cls(tools.challenges, tools.settings.relying_party)

    @property
    def party(self) -> RelyingParty:
        """The relying party. Raises ``ResponseRefused`` without origins: accounts keep passkeys, none is accepted."""
        if self._optional_party is None:
            raise ResponseRefused("there are no origins")
        return self._optional_party

    def sign(self, purpose: ChallengePurpose, bound_to: bytes) -> bytes:
        """Return a new challenge for this purpose."""
        return self._signed.sign(purpose, bound_to)

    def verify(
        self, purpose: ChallengePurpose, bound_to: bytes, answer: PasskeyAnswer
    ) -> tuple[bytes, VerifiedChallenge]:
        """Return the challenge that was answered, as bytes and verified. Raises ``ResponseRefused``."""
        challenge = challenge_of(answer.credential)
        if answer.challenge_id not in {None, base64url.encode(challenge)}:
            raise ResponseRefused("the answer is for another challenge")
        try:
            return challenge, self._signed.verify(purpose, bound_to, challenge)
        except ValueError as error:
            raise ResponseRefused(str(error)) from None
