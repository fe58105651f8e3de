"""The passkeys of the user's own account: adding (WebAuthn Level 3, section 7.1), listing, renaming and deleting."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from authapp import clock
from authapp.context import RequestContext
from authapp.database.errors import broken_constraint
from authapp.database.session import db, transaction
from authapp.domain.factors.factor_changes import FactorChanges
from authapp.domain.factors.kinds import (
    PASSKEY,
    FactorKind,
    FactorTools,
    Prover,
    SecondStep,
    deletes_rows,
    factor_kinds,
)
from authapp.domain.factors.passkey_assertions import PasskeyAssertions, methods
from authapp.domain.factors.passkey_challenges import ChallengePurpose, PasskeyAnswer, PasskeyChallenges
from authapp.domain.factors.passkey_options import creation_options
from authapp.domain.principals.recent import require_login
from authapp.domain.sessions.sessions import LogoutScope
from authapp.domain.used_challenges import use_challenge
from authapp.domain.users.rows import lock_own
from authapp.errors import PasskeyInvalid, PermissionDenied, ResourceNotFound, TooManyPasskeys
from authapp.models import Passkey
from authapp.models.passkey import PASSKEYS_PER_ACCOUNT
from authapp.security import identifiers
from authapp.security.passkey_framing import ResponseRefused
from authapp.security.passkey_responses import RegisteredCredential, known_transports, verify_registration
from authapp.security.signed_challenges import VerifiedChallenge

logger = logging.getLogger(__name__)


class Passkeys:
    """The use cases of the user's own passkeys."""

    def __init__(self, challenges: PasskeyChallenges, changes: FactorChanges) -> None:
        self._challenges = challenges
        self._changes = changes

    def registration_options(self, user_id: UUID, context: RequestContext) -> dict[str, Any]:
        """Return what a page passes to the authenticator to make a passkey.

        Raises ``TooManyPasskeys``, or what ``FactorChanges.by_owner`` raises.
        """
        challenge = self._challenges.sign(ChallengePurpose.REGISTER, _session_of(context))
        with self._changes.by_owner(user_id, context) as change:
            present = passkeys_of(user_id)
            _require_room(len(present))
        return creation_options(self._challenges.party, challenge, change.user, present)

    def register(
        self, user_id: UUID, name: str, answer: PasskeyAnswer, context: RequestContext, *, scope: LogoutScope | None
    ) -> tuple[Passkey, list[str]]:
        """Add the passkey that an authenticator made in this session. The sessions that ``scope`` selects end.

        It also counts as a second factor of this session. Returns the passkey, and recovery codes if it is the first
        second factor of the account. Raises ``PasskeyInvalid``, ``TooManyPasskeys``, or what ``FactorChanges.by_owner``
        raises.
        """
        with _unique_credential(), self._changes.by_owner(user_id, context) as change:
            challenge, credential = self._verified(answer, context)
            if not use_challenge(challenge, user_id):
                raise PasskeyInvalid
            _require_room(change.enrolled.states[PASSKEY])
            passkey = _new_passkey(user_id, name, credential, answer)
            db.session.add(passkey)
            db.session.flush()
            proven = methods(backup_eligible=credential.backup_eligible, user_verified=True)
            details = {"passkey_id": str(passkey.id), "name": name}
            codes = change.record_added(PASSKEY, context, scope=scope, proven=proven, **details)
        return passkey, codes

    def list(self, user_id: UUID) -> Sequence[Passkey]:
        """Return the user's passkeys, the oldest first: at most ``PASSKEYS_PER_ACCOUNT``."""
        return passkeys_of(user_id)

    def rename(self, user_id: UUID, passkey_id: UUID, name: str, context: RequestContext) -> Passkey:
        """Give a passkey another name, which decides nothing, and so leaves no event.

        Raises ``ResourceNotFound`` if it is another user's, or ``PermissionDenied`` for a credential without a session.
        """
        named = update(Passkey).where(*_primary_key_is(user_id, passkey_id)).values(name=name).returning(Passkey)
        with transaction() as session:
            # The name is what its owner goes by when one is to be deleted: an API key changes none.
            require_login(context)
            lock_own(user_id, context)
            passkey = session.scalars(named.execution_options(synchronize_session=False)).one_or_none()
            if passkey is None:
                raise ResourceNotFound
        return passkey

    def delete(self, user_id: UUID, passkey_id: UUID, context: RequestContext, *, scope: LogoutScope | None) -> None:
        """Delete a passkey. The sessions that ``scope`` selects end.

        Raises ``ResourceNotFound`` if it is another user's, ``LastWayIn``, or what ``FactorChanges.by_owner`` raises.
        """
        with self._changes.by_owner(user_id, context) as change:
            passkey = db.session.scalars(select(Passkey).where(*_primary_key_is(user_id, passkey_id))).one_or_none()
            if passkey is None:
                raise ResourceNotFound
            db.session.delete(passkey)
            details = {"passkey_id": str(passkey.id), "name": passkey.name}
            change.record_removed(PASSKEY, context, scope=scope, **details)

    def _verified(
        self, answer: PasskeyAnswer, context: RequestContext
    ) -> tuple[VerifiedChallenge, RegisteredCredential]:
        try:
            expected, challenge = self._challenges.verify(ChallengePurpose.REGISTER, _session_of(context), answer)
            return challenge, verify_registration(answer.credential, expected, self._challenges.party)
        except ResponseRefused as refused:
            logger.info("a new passkey was refused: %.200r", str(refused))
            raise PasskeyInvalid from None


def passkeys_of(user_id: UUID) -> Sequence[Passkey]:
    """Return the passkeys of an account, the oldest first: at most ``PASSKEYS_PER_ACCOUNT``."""
    return db.session.scalars(select(Passkey).where(Passkey.user_id == user_id).order_by(Passkey.id)).all()


def _session_of(context: RequestContext) -> bytes:
    if context.session_id is None:
        raise PermissionDenied("A passkey is added in a session.")
    return context.session_id.bytes


def _new_passkey(user_id: UUID, name: str, credential: RegisteredCredential, answer: PasskeyAnswer) -> Passkey:
    return Passkey(
        user_id=user_id,
        id=identifiers.time_ordered(),
        credential_id=credential.credential_id,
        public_key=credential.public_key,
        sign_count=credential.sign_count,
        backup_eligible=credential.backup_eligible,
        backed_up=credential.backed_up,
        transports=known_transports(answer.credential["response"].get("transports") or ()),
        aaguid=credential.aaguid,
        name=name,
        created_at=clock.now(),
    )


def _primary_key_is(user_id: UUID, passkey_id: UUID) -> tuple[Any, ...]:
    return (Passkey.user_id == user_id, Passkey.id == passkey_id)


def _require_room(present: int) -> None:
    if present >= PASSKEYS_PER_ACCOUNT:
        raise TooManyPasskeys


@contextmanager
def _unique_credential() -> Iterator[None]:
    """Refuse a credential that an account has already, whichever (section 7.1, step 26)."""
    try:
        yield
    except IntegrityError as error:
        if broken_constraint(error) == "uq_passkeys_credential_id":
            raise PasskeyInvalid from None
        raise


def _prover(tools: FactorTools) -> Prover | None:
    if tools.settings.relying_party is None:
        return None
    assertions = PasskeyAssertions.of(tools)
    return Prover(assertions.prove, assertions.second_factor_options)


factor_kinds.register(
    PASSKEY,
    FactorKind(
        state=select(func.count()).where(Passkey.user_id == FactorKind.user_id).scalar_subquery(),
        position=30,
        second_step=SecondStep(prover=_prover, codes=None),
        ways_in=lambda number, settings: number if settings.relying_party else 0,
        is_offered=lambda settings: settings.relying_party is not None,
        delete=deletes_rows(Passkey.created_at),
        words="a passkey",
        member="passkeys",
        show=lambda user_id, _number: passkeys_of(user_id),
    ),
)
