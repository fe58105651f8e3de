"""One-time tokens: sent to an email address, bound to a user, a purpose and that address, and usable once.

A token is the base64url of the user's id and 256 random bits. It contains the id so that a lookup needs only the
database shard of that user. Only the SHA-256 of the token is stored.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from hashlib import sha256
from secrets import token_bytes
from types import MappingProxyType
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select

from authapp import clock
from authapp.database.session import db
from authapp.domain import hooks
from authapp.domain.pruning import Prunable, prunables
from authapp.models import OneTimeToken, User
from authapp.models.user import lookup_key
from authapp.security import base64url


class Purpose(StrEnum):
    """What a one-time token is for. A token for one purpose opens nothing else."""

    VERIFY_EMAIL = "verify_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105 - a word, not a secret
    CHANGE_EMAIL = "change_email"
    UNDO_EMAIL = "undo_email"
    LOGIN = "login"


LIFETIMES = MappingProxyType(
    {
        Purpose.VERIFY_EMAIL: timedelta(hours=24),
        Purpose.RESET_PASSWORD: timedelta(hours=1),
        Purpose.CHANGE_EMAIL: timedelta(hours=24),
        Purpose.UNDO_EMAIL: timedelta(hours=72),
        # ASVS 5.0, 6.5.5: an out-of-band authentication is valid for at most 10 minutes.
        Purpose.LOGIN: timedelta(minutes=10),
    }
)
"""How long a token lives, from the moment when its mail is sent."""

SECRET_BYTES = 32
MAX_PER_PURPOSE = 5
"""The maximum number of live tokens per account and purpose.

It is more than one, so that requesting another token does not void one that is already in the user's mailbox.
"""

prunables.register(
    "one_time_tokens",
    Prunable("one_time_tokens", OneTimeToken.expires_at, lambda now: OneTimeToken.expires_at < now),
)


@dataclass(frozen=True)
class UsedToken:
    """A token that has just been used: its user, and the address that it was sent to.

    Compare ``address_key`` with the account's key, because the account's address may have changed since. ``address``
    is the new address if the token confirms a change of address, otherwise ``None``.
    """

    user_id: UUID
    address_key: str
    address: str | None


HARMLESS_CHANGES = {"username", "roles"}
"""The changes of an account that leave the tokens which were sent before as they are. Every other one voids them."""


class OneTimeTokens:
    """Issues and uses one-time tokens. Each method works within the caller's open transaction."""

    def issue(
        self,
        user_id: UUID,
        purpose: str,
        *,
        sent_to: str,
        lifetime: timedelta,
        new_address: str | None = None,
        challenge_hash: bytes | None = None,
        code: str | None = None,
    ) -> str:
        """Return a new token for ``purpose``, to be sent to the address ``sent_to``; it expires after ``lifetime``.

        ``challenge_hash`` binds it to the client that holds the challenge, which can send ``code`` instead of it.

        If the account would then have more than ``MAX_PER_PURPOSE`` tokens for the purpose, the oldest is deleted.
        """
        now, token = clock.now(), user_id.bytes + token_bytes(SECRET_BYTES)
        same_purpose = (OneTimeToken.user_id == user_id, OneTimeToken.purpose == purpose)
        newest = (
            select(OneTimeToken.token_hash)
            .where(*same_purpose, OneTimeToken.expires_at > now)
            .order_by(OneTimeToken.created_at.desc(), OneTimeToken.token_hash)
            .limit(MAX_PER_PURPOSE - 1)
        )
        self._lock(user_id)
        surplus = delete(OneTimeToken).where(*same_purpose, OneTimeToken.token_hash.not_in(newest))
        db.session.execute(surplus.execution_options(synchronize_session=False))
        db.session.add(
            OneTimeToken(
                user_id=user_id,
                purpose=purpose,
                token_hash=sha256(token).digest(),
                address_key=lookup_key(sent_to),
                address=new_address,
                challenge_hash=challenge_hash,
                code_hash=code_hash(challenge_hash, code) if challenge_hash and code else None,
                created_at=now,
                expires_at=now + lifetime,
            )
        )
        db.session.flush()
        return base64url.encode(token)

    def withdraw(self, token: str, purpose: str) -> None:
        """Delete a token that was not sent after all, so that it does not count among those of the account."""
        if key := _key_of(token):
            user_id, token_hash = key
            self._delete(
                OneTimeToken.user_id == user_id,
                OneTimeToken.purpose == purpose,
                OneTimeToken.token_hash == token_hash,
            )

    def use(self, token: str, purpose: str) -> UsedToken | None:
        """Use a token, and delete it together with all other tokens for the same purpose and account.

        Returns ``None`` if it is unknown, expired, already used, or for another purpose. The answer is the same for
        all of these, so that it reveals nothing. If a token is used twice at once, DELETE lets only one succeed.
        """
        key = _key_of(token)
        if key is None:
            return None
        user_id, token_hash = key
        same_purpose = (OneTimeToken.user_id == user_id, OneTimeToken.purpose == purpose)
        self._lock(user_id)
        used = (
            delete(OneTimeToken)
            .where(*same_purpose, OneTimeToken.token_hash == token_hash, OneTimeToken.expires_at > clock.now())
            .returning(OneTimeToken.address_key, OneTimeToken.address)
            .execution_options(synchronize_session=False)
        )
        row = db.session.execute(used).one_or_none()
        if row is None:
            return None
        self._delete(*same_purpose)
        return UsedToken(user_id, row.address_key, row.address)

    def void_all(self, user_id: UUID) -> None:
        """Delete all tokens of an account. A change of the account does so by itself."""
        self._lock(user_id)
        self._delete(OneTimeToken.user_id == user_id)

    def _lock(self, user_id: UUID) -> None:
        # The account first, like every other change of it: two in another order would wait for each other for ever.
        db.session.execute(select(User.id).where(User.id == user_id).with_for_update(key_share=True))

    def _delete(self, *which: ColumnElement[bool]) -> None:
        db.session.execute(delete(OneTimeToken).where(*which).execution_options(synchronize_session=False))


@hooks.user_changing.connect
def _void_after_change(_app: object, *, user_id: UUID, fields: set[str], **_: object) -> None:
    if fields - HARMLESS_CHANGES:
        OneTimeTokens().void_all(user_id)


def code_hash(challenge_hash: bytes, code: str) -> bytes:
    """Return what is stored of a code. It opens nothing without the challenge, which is stored nowhere."""
    return sha256(challenge_hash + code.encode("ascii")).digest()


def _key_of(token: str) -> tuple[UUID, bytes] | None:
    try:
        data = base64url.decode(token)
    except ValueError:
        return None
    if len(data) != len(UUID(int=0).bytes) + SECRET_BYTES:
        return None
    return UUID(bytes=data[:-SECRET_BYTES]), sha256(data).digest()
