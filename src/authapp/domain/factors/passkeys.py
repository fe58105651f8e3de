"""The passkeys of the user's own account: adding (WebAuthn Level 3, section 7.1), listing, renaming and deleting."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from authapp import clock
from authapp.config import RelyingParty
from authapp.context import RequestContext
from authapp.database.errors import broken_constraint
from authapp.database.session import db, transaction
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.factors.enrolled import PASSKEY, factors_of, require_second_factor
from authapp.domain.factors.factor_changes import FactorChanges
from authapp.domain.factors.passkey_challenges import ChallengePurpose, PasskeyAnswer, open_challenge, spend
from authapp.domain.factors.passkey_options import creation_options
from authapp.domain.factors.passkey_proofs import methods
from authapp.domain.factors.recovery_codes import RecoveryCodes
from authapp.domain.factors.ways_in import require_another_way_in, ways_in
from authapp.domain.sessions.sessions import LogoutScope
from authapp.domain.users.rows import lock_own
from authapp.errors import PasskeyInvalid, PermissionDenied, ResourceNotFound, TooManyPasskeys
from authapp.models import Passkey, User
from authapp.models.passkey import PASSKEYS_PER_ACCOUNT
from authapp.security import identifiers
from authapp.security.passkey_responses import (
    RegisteredCredential,
    ResponseRefused,
    known_transports,
    verify_registration,
)
from authapp.security.sealed_challenges import OpenedChallenge, SealedChallenges

logger = logging.getLogger(__name__)


class Passkeys:
    """The use cases of the user's own passkeys."""

    def __init__(
        self, challenges: SealedChallenges, party: RelyingParty, codes: RecoveryCodes, changes: FactorChanges
    ) -> None:
        self._challenges = challenges
        self._party = party
        self._codes = codes
        self._changes = changes

    def registration_options(self, user_id: UUID, context: RequestContext) -> dict[str, Any]:
        """Return what a page passes to the authenticator to make a passkey. Raises ``TooManyPasskeys``."""
        challenge = self._challenges.seal(ChallengePurpose.REGISTER, _session_of(context))
        user, present = db.session.get_one(User, user_id), self.list(user_id)
        _require_room(len(present))
        return creation_options(self._party, challenge, user, present)

    def register(
        self, user_id: UUID, name: str, answer: PasskeyAnswer, context: RequestContext, *, scope: LogoutScope | None
    ) -> tuple[Passkey, list[str]]:
        """Add the passkey that an authenticator made in this session. The sessions that ``scope`` selects end.

        It also counts as a second factor of this session. Returns the passkey, and recovery codes if it is the first
        second factor of the account. Raises ``PasskeyInvalid``, ``TooManyPasskeys``, or
        ``TokenRevoked`` if the principal was logged out meanwhile.
        """
        opened, made = self._verified(answer, context)
        with _unique_credential(), transaction() as session:
            user = lock_own(user_id, context)
            require_second_factor(user.id, context)
            if not spend(opened, user_id):
                raise PasskeyInvalid
            _require_room(_count(user))
            is_first = not factors_of(user_id).second()
            passkey = _new_passkey(user_id, name, made, answer)
            session.add(passkey)
            session.flush()
            proven = methods(backup_eligible=made.backup_eligible, user_verified=True)
            details = {"passkey_id": str(passkey.id), "name": name}
            ended = self._changes.apply(
                user, EventType.FACTOR_ADDED, context, scope=scope, factor=PASSKEY, proven=proven, **details
            )
            codes = self._codes.replace_all(user_id) if is_first else []
            if codes:
                audit.record(EventType.RECOVERY_CODES_CREATED, context=context, subject_id=user_id)
        self._changes.send_sessions_ended(user_id, ended, context)
        return passkey, codes

    def list(self, user_id: UUID) -> Sequence[Passkey]:
        """Return the user's passkeys, the oldest first: at most ``PASSKEYS_PER_ACCOUNT``."""
        return db.session.scalars(select(Passkey).where(Passkey.user_id == user_id).order_by(Passkey.id)).all()

    def rename(self, user_id: UUID, passkey_id: UUID, name: str, context: RequestContext) -> Passkey:
        """Give a passkey another name. Raises ``ResourceNotFound`` if it is another user's."""
        named = update(Passkey).where(*_is(user_id, passkey_id)).values(name=name).returning(Passkey)
        with transaction() as session:
            lock_own(user_id, context)
            passkey = session.scalars(named.execution_options(synchronize_session=False)).one_or_none()
            if passkey is None:
                raise ResourceNotFound
        return passkey

    def delete(self, user_id: UUID, passkey_id: UUID, context: RequestContext, *, scope: LogoutScope | None) -> None:
        """Delete a passkey. The sessions that ``scope`` selects end.

        Raises ``ResourceNotFound`` if it is another user's, ``LastWayIn``, or what ``require_second_factor`` raises.
        """
        with transaction() as session:
            user = lock_own(user_id, context)
            passkey = session.scalars(select(Passkey).where(*_is(user_id, passkey_id))).one_or_none()
            if passkey is None:
                raise ResourceNotFound
            require_second_factor(user.id, context)
            require_another_way_in(user)
            session.delete(passkey)
            details = {"passkey_id": str(passkey.id), "name": passkey.name}
            ended = self._changes.apply(user, EventType.FACTOR_REMOVED, context, scope=scope, factor=PASSKEY, **details)
        self._changes.send_sessions_ended(user_id, ended, context)

    def _verified(self, answer: PasskeyAnswer, context: RequestContext) -> tuple[OpenedChallenge, RegisteredCredential]:
        try:
            challenge, opened = open_challenge(
                self._challenges, ChallengePurpose.REGISTER, _session_of(context), answer
            )
            return opened, verify_registration(answer.credential, challenge, self._party)
        except ResponseRefused as refused:
            logger.info("a new passkey was refused: %.200r", str(refused))
            raise PasskeyInvalid from None


def _session_of(context: RequestContext) -> bytes:
    if context.session_id is None:
        raise PermissionDenied("A passkey is added in a session.")
    return context.session_id.bytes


def _new_passkey(user_id: UUID, name: str, made: RegisteredCredential, answer: PasskeyAnswer) -> Passkey:
    return Passkey(
        user_id=user_id,
        id=identifiers.time_ordered(),
        credential_id=made.credential_id,
        public_key=made.public_key,
        sign_count=made.sign_count,
        backup_eligible=made.backup_eligible,
        backed_up=made.backed_up,
        user_verified=True,
        transports=known_transports(answer.credential["response"].get("transports") or ()),
        aaguid=made.aaguid,
        name=name,
        created_at=clock.now(),
    )


def _is(user_id: UUID, passkey_id: UUID) -> tuple[Any, ...]:
    return (Passkey.user_id == user_id, Passkey.id == passkey_id)


def _count(user: User) -> int:
    return db.session.scalar(select(func.count()).select_from(Passkey).where(Passkey.user_id == user.id)) or 0


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


ways_in.register(PASSKEY, _count)
