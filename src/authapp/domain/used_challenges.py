"""Challenges that were used, of passkeys and of logins by a provider: each is used once."""

from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

from authapp.database.session import db
from authapp.domain.pruning import Prunable, prunables
from authapp.models import UsedChallenge
from authapp.security.signed_challenges import VerifiedChallenge

prunables.register(
    "used_challenges",
    # A node whose clock is slow still accepts the challenge.
    Prunable("used_challenges", UsedChallenge.expires_at, after_leeway=True),
)


def use_challenge(challenge: VerifiedChallenge, user_id: UUID | None) -> bool:
    """Store within the open transaction that a challenge was used. Return ``False`` if it had been before.

    ``user_id`` is whose it is. Without one, the first half of the hash takes its place in the key: see the model.
    """
    key = user_id or UUID(bytes=challenge.hash[:16])
    row = {"user_id": key, "challenge_hash": challenge.hash, "expires_at": challenge.expires_at}
    stored = insert(UsedChallenge).values(row).on_conflict_do_nothing().returning(UsedChallenge.challenge_hash)
    return db.session.execute(stored).one_or_none() is not None
