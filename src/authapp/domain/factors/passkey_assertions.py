"""Assertions of passkeys: authenticating a user with one of theirs (WebAuthn Level 3, section 7.2)."""

import logging
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Row, select
from webauthn.helpers import encode_cbor

from authapp import clock
from authapp.context import MULTI_FACTOR, RequestContext
from authapp.database.session import db
from authapp.domain import audit
from authapp.domain.account_locks import lock_account_row
from authapp.domain.audit import EventType
from authapp.domain.factors.kinds import PASSKEY, FactorAttempt, FactorTools
from authapp.domain.factors.passkey_challenges import ChallengePurpose, PasskeyAnswer, PasskeyChallenges
from authapp.domain.factors.passkey_options import request_options
from authapp.domain.hooks import Hooks, factors_changing
from authapp.domain.sessions.authentication import AuthenticationResult
from authapp.domain.used_challenges import use_challenge
from authapp.models import Passkey, User, UserStatus
from authapp.security.passkey_framing import PublicKeyCredentialJSON, ResponseRefused
from authapp.security.passkey_responses import Assertion, credential_id_of, user_handle_of, verify_assertion
from authapp.security.signed_challenges import VerifiedChallenge
from authapp.security.user_tokens import ID_BYTES

logger = logging.getLogger(__name__)

HARDWARE_KEY, SOFTWARE_KEY, USER_VERIFIED = "hwk", "swk", "user"
"""The methods (``amr``, RFC 8176) of a passkey of one device, of one that may be synced, and of a PIN or the like."""


@dataclass(frozen=True)
class PasskeyAssertion:
    """An assertion by one of a user's passkeys. It proves nothing before its challenge is used."""

    user_id: UUID
    passkey_id: UUID
    challenge: VerifiedChallenge
    assertion: Assertion


class PasskeyAssertions:
    """Verifies assertions, and uses them."""

    def __init__(self, challenges: PasskeyChallenges, hooks: Hooks) -> None:
        self._challenges = challenges
        self._hooks = hooks
        self._dummy_key = _new_public_key()

    @classmethod
    def of(cls, tools: FactorTools) -> Self:
        """Return those of an application."""
        return cls(PasskeyChallenges.of(tools), tools.hooks)

    def login_options(self) -> dict[str, Any]:
        """Return what a guest passes to the authenticator. It names nobody: the passkey says whose it is."""
        challenge = self._challenges.sign(ChallengePurpose.LOGIN, b"")
        return request_options(self._challenges.party, challenge, user_verification="required")

    def second_factor_options(self, user_id: UUID, bound_to: bytes) -> dict[str, Any]:
        """Return what somebody who has proven to be this user passes to the authenticator as a second factor."""
        challenge = self._challenges.sign(ChallengePurpose.SECOND_FACTOR, bound_to)
        allowed = db.session.scalars(select(Passkey).where(Passkey.user_id == user_id).order_by(Passkey.id))
        party = self._challenges.party
        return request_options(party, challenge, allowed=allowed, user_verification="preferred")

    def prove(self, attempt: FactorAttempt, context: RequestContext) -> tuple[str, ...]:
        """Use an answer to ``second_factor_options``; see ``Prover``. A counter that went back is recorded."""
        answer = PasskeyAnswer(attempt.answer)
        verified = self._verify(attempt.user_id, answer, ChallengePurpose.SECOND_FACTOR, attempt.bound_to)
        return self._use(verified, context) if verified else ()

    def verify_login(self, user_id: UUID | None, answer: PasskeyAnswer) -> PasskeyAssertion | None:
        """Verify an answer to a challenge for a login, without using it; return ``None`` if it is refused.

        It must be by a passkey of ``user_id``, or, if that is ``None``, of the user whom the answer names.
        """
        return self._verify(user_id, answer, ChallengePurpose.LOGIN, b"")

    def authenticate(self, verified: PasskeyAssertion, context: RequestContext) -> AuthenticationResult | None:
        """Use a verified login within the open transaction, and return whom it authenticates.

        Returns ``None`` if it is refused. A counter that went back is recorded, so commit also then.
        """
        amr = self._use(verified, context)
        version = db.session.scalar(select(User.updated_at).where(User.id == verified.user_id)) if amr else None
        if version is None:
            return None
        return AuthenticationResult(
            verified.user_id, amr, auth_time=clock.now(), account_version=version, factor=PASSKEY
        )

    def _verify(
        self, user_id: UUID | None, answer: PasskeyAnswer, purpose: ChallengePurpose, bound_to: bytes
    ) -> PasskeyAssertion | None:
        """Verify an answer; return ``None`` if it is refused, for a reason that the log has.

        The work is the same if the user does not exist, is disabled or has no such passkey, so that the time does not
        tell.
        """
        try:
            return self._verified(user_id or _owner_of(answer.credential), answer, purpose, bound_to)
        except ResponseRefused as refused:
            logger.info("a passkey was refused: %.200r", str(refused))
            return None

    def _verified(
        self, user_id: UUID, answer: PasskeyAnswer, purpose: ChallengePurpose, bound_to: bytes
    ) -> PasskeyAssertion:
        challenge, verified = self._challenges.verify(purpose, bound_to, answer)
        credential = answer.credential
        if user_handle_of(credential) not in {None, user_id.bytes}:
            raise ResponseRefused("the passkey is another user's")
        stored = _find(user_id, credential_id_of(credential))
        assertion = verify_assertion(
            credential,
            challenge,
            self._challenges.party,
            public_key=stored.public_key if stored else self._dummy_key,
            backup_eligible=stored.backup_eligible if stored else False,
            require_user_verification=purpose.requires_user_verification,
        )
        if stored is None:
            raise ResponseRefused("no active user has this passkey")
        return PasskeyAssertion(user_id, stored.id, verified, assertion)

    def _use(self, verified: PasskeyAssertion, context: RequestContext) -> tuple[str, ...]:
        """Use a verified assertion, within the open transaction; return the methods (``amr``) that it proves.

        Returns none if it was used before, or meanwhile the passkey is gone, or its counter says that it is a copy. Of
        several requests at once, the others wait for the account's lock, and then find the challenge used.
        """
        if not lock_account_row(verified.user_id, User.status == UserStatus.ACTIVE):
            return ()
        key = (Passkey.user_id == verified.user_id, Passkey.id == verified.passkey_id)
        found = select(Passkey).where(*key).execution_options(populate_existing=True)
        passkey = db.session.scalars(found).one_or_none()
        if passkey is None or not use_challenge(verified.challenge, verified.user_id):
            return ()
        assertion = verified.assertion
        if not self._accept_counter(passkey, assertion.sign_count, context):
            return ()
        passkey.sign_count = max(passkey.sign_count, assertion.sign_count)
        passkey.backed_up = assertion.backed_up
        passkey.last_used_at = clock.now()
        return methods(backup_eligible=passkey.backup_eligible, user_verified=assertion.user_verified)

    def _accept_counter(self, passkey: Passkey, sign_count: int, context: RequestContext) -> bool:
        """Record a counter that went back or stood still, and return whether the passkey is accepted (step 22).

        Synced passkeys do so honestly: each device counts by itself. A passkey of one device has been copied.
        """
        if sign_count > passkey.sign_count or sign_count == passkey.sign_count == 0:
            return True
        user_id, event, refused = passkey.user_id, EventType.PASSKEY_COUNTER_REVERSED, not passkey.backup_eligible
        details: dict[str, Any] = {"passkey_id": str(passkey.id), "name": passkey.name, "refused": refused}
        audit.record(event, context=context, subject_id=user_id, **details)
        self._hooks.send_within(factors_changing, context=context, user_id=user_id, event=event, details=details)
        return not refused


def methods(*, backup_eligible: bool, user_verified: bool) -> tuple[str, ...]:
    """Return the methods (``amr``) that a passkey proves. With the user verified, they are of two factors."""
    key = SOFTWARE_KEY if backup_eligible else HARDWARE_KEY
    return (key, USER_VERIFIED, MULTI_FACTOR) if user_verified else (key,)


def _owner_of(credential: PublicKeyCredentialJSON) -> UUID:
    handle = user_handle_of(credential)
    if handle is None or len(handle) != ID_BYTES:
        raise ResponseRefused("the passkey does not say whose it is")
    return UUID(bytes=handle)


def _find(user_id: UUID, credential_id: bytes) -> Row[UUID, bytes, bool] | None:
    columns = (Passkey.id, Passkey.public_key, Passkey.backup_eligible)
    active = select(*columns).join(User, User.id == Passkey.user_id).where(User.status == UserStatus.ACTIVE)
    key = (Passkey.user_id == user_id, Passkey.credential_id == credential_id)
    return db.session.execute(active.where(*key)).one_or_none()


def _new_public_key() -> bytes:
    numbers = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
    key = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
    return encode_cbor(key)
