"""One-time tokens: sent to an email address, bound to a user, a purpose and that address, and usable once.

A token is the base64url of the user's id and 256 random bits. It contains the id so that a lookup needs only the
database shard of that user. Only the SHA-256 of the token is stored.
"""

from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from secrets import compare_digest, token_bytes
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, exists, func, select, update

from authapp import clock
from authapp.database.session import db, read_one
from authapp.domain import hooks
from authapp.domain.pruning import Prunable, prunables
from authapp.domain.token_purposes import TokenPurpose, token_purposes
from authapp.models import OneTimeToken, User, UserStatus
from authapp.models.user import lookup_key
from authapp.security import base64url

SECRET_BYTES = 32
MAX_PER_PURPOSE = 5
"""How many mails of one purpose may have live tokens of an account. A token without a mail counts as one.

A newer one voids none of those that are in the user's mailbox already: whoever requests mails to somebody else would
void the link that the owner is about to open. So beyond this number, no token is issued until one expires.
"""

MAX_PER_MAIL = 2
"""How many live tokens one mail has: the new one, and that of the last attempt, whose mail may have arrived."""

MAX_GUESSES = 5
"""How many codes may be tried for one challenge.

The code has eight digits. Five guesses are right once in 20,000,000 challenges. Who asks for many challenges is
stopped by the count of failures per account: ``LOGIN_CODE`` in ``domain/throttle_scopes.py``.
"""

prunables.register("one_time_tokens", Prunable("one_time_tokens", OneTimeToken.expires_at))


@dataclass(frozen=True)
class UsedToken:
    """A token that has just been used: its user, and the address that it was sent to.

    Compare ``address_key`` with the account's key, because the account's address may have changed since.
    """

    user_id: UUID
    address_key: str


@dataclass(frozen=True)
class FoundToken:
    """A token that is good and has not been used: its user, its purpose, and the key of the address it was sent to.

    ``is_current`` is whether the account is active and still has that address.
    """

    user_id: UUID
    purpose: str
    address_key: str
    username: str
    email: str
    is_current: bool


_HARMLESS_CHANGES = {"username", "roles", "email_verified_at"}

_mail_or_token = func.coalesce(func.uuid_send(OneTimeToken.mail_id), OneTimeToken.token_hash)

_IS_CURRENT = and_(User.status == UserStatus.ACTIVE, User.email_key == OneTimeToken.address_key)


class TooManyTokens(Exception):
    """``MAX_PER_PURPOSE`` mails have live tokens of the account for the purpose, so no other is issued."""


class OneTimeTokens:
    """Issues and uses one-time tokens.

    Each method works within the caller's open transaction, but ``find`` and ``find_challenged_user``: these are asked
    outside one, before work that takes long.
    """

    def issue(
        self,
        user_id: UUID,
        purpose: str,
        *,
        sent_to: str,
        lifetime: timedelta,
        challenge_hash: bytes | None = None,
        code: str | None = None,
        mail_id: UUID | None = None,
    ) -> str:
        """Return a new token for ``purpose``, to be sent to the address ``sent_to``; it expires after ``lifetime``.

        ``challenge_hash`` binds a login link to the client that requested it, which may also send ``code`` instead.
        ``mail_id`` is the mail that carries the token. However often it is sent, it has ``MAX_PER_MAIL`` live ones.

        Raises ``TooManyTokens`` if ``MAX_PER_PURPOSE`` other mails have live ones of the account, for ``sent_to`` alone
        if the purpose survives changes.
        """
        now, token = clock.now(), user_id.bytes + token_bytes(SECRET_BYTES)
        same_purpose = _same_purpose(user_id, purpose, lookup_key(sent_to))
        self._lock(user_id)
        self._delete(*same_purpose, OneTimeToken.expires_at <= now)
        if mail_id is not None:
            self._make_room(mail_id, *same_purpose)
        others = OneTimeToken.mail_id.is_distinct_from(mail_id) | OneTimeToken.mail_id.is_(None)
        live = select(func.count(func.distinct(_mail_or_token))).where(*same_purpose, others)
        if (db.session.scalar(live) or 0) >= MAX_PER_PURPOSE:
            raise TooManyTokens
        db.session.add(
            OneTimeToken(
                user_id=user_id,
                purpose=purpose,
                token_hash=sha256(token).digest(),
                address_key=lookup_key(sent_to),
                challenge_hash=challenge_hash,
                code_hash=code_hash(challenge_hash, code) if challenge_hash and code else None,
                mail_id=mail_id,
                created_at=now,
                expires_at=now + lifetime,
            )
        )
        db.session.flush()
        return base64url.encode(token)

    def _make_room(self, mail_id: UUID, *which: ColumnElement[bool]) -> None:
        """Delete the older tokens of a mail that is sent again."""
        newest_first = (OneTimeToken.created_at.desc(), OneTimeToken.token_hash)
        older = select(OneTimeToken.token_hash).where(*which, OneTimeToken.mail_id == mail_id).order_by(*newest_first)
        self._delete(*which, OneTimeToken.token_hash.in_(older.offset(MAX_PER_MAIL - 1)))

    def void_token(self, token: str, purpose: str) -> None:
        """Delete a token that was not sent after all, so that it does not count among those of the account."""
        if key := _key_of(token):
            self._delete(*_is_token(*key, purpose))

    def find(self, token: str, *purposes: str) -> FoundToken | None:
        """Return a token for one of ``purposes`` without using it, or ``None``, as ``use`` would.

        It is one look-up, and gives its connection back: ask it before work that takes long, such as a password hash.
        """
        key = _key_of(token)
        if key is None:
            return None
        user_id, token_hash = key
        columns = (OneTimeToken.purpose, OneTimeToken.address_key, User.username, User.email)
        row = read_one(
            select(*columns, _IS_CURRENT.label("is_current"))
            .join(User, User.id == OneTimeToken.user_id)
            .where(
                OneTimeToken.user_id == user_id,
                OneTimeToken.purpose.in_(purposes),
                OneTimeToken.token_hash == token_hash,
                OneTimeToken.expires_at > clock.now(),
            )
        )
        return row and FoundToken(user_id, row.purpose, row.address_key, row.username, row.email, row.is_current)

    def use(self, token: str, purpose: str, *, challenge_hash: bytes | None = None) -> UsedToken | None:
        """Use a token, and delete it together with all other tokens for the same purpose and account.

        It looks at no account: ``address_proofs.use_token`` does, and is what most links need.

        Returns ``None`` if it is unknown, expired, already used, or for another purpose, or was requested with another
        challenge. The answer is the same for all of these, so that it reveals nothing. If a token is used twice at
        once, DELETE lets only one succeed. A link that restores an address leaves those for other addresses as they
        are: see ``PurposeRule``.
        """
        key = _key_of(token)
        if key is None:
            return None
        self._lock(key[0])
        bound = () if challenge_hash is None else (OneTimeToken.challenge_hash == challenge_hash,)
        return self._use(*key, purpose, *bound)

    def find_challenged_user(self, challenge_hash: bytes) -> UUID | None:
        """Return the account whose login link was requested with this challenge, if there is one.

        The only look-up here without the user's id: ``docs/decisions/0036-login-links.md`` says why, and what it costs.
        """
        login = (OneTimeToken.challenge_hash == challenge_hash, OneTimeToken.purpose == TokenPurpose.LOGIN)
        row = read_one(select(OneTimeToken.user_id).where(*login).limit(1))
        return row and row.user_id

    def use_code(self, user_id: UUID, challenge_hash: bytes, code: str) -> UsedToken | None:
        """Use the login link of an account that was requested with this challenge, by the code in its mail.

        A guess is counted before it is compared, and the row stays locked until the caller commits: of any number of
        parallel guesses, ``MAX_GUESSES`` are compared. So commit also if this returns ``None``.
        """
        self._lock(user_id)
        guessed = (
            update(OneTimeToken)
            .where(
                OneTimeToken.user_id == user_id,
                OneTimeToken.purpose == TokenPurpose.LOGIN,
                OneTimeToken.challenge_hash == challenge_hash,
                OneTimeToken.failures < MAX_GUESSES,
            )
            .values(failures=OneTimeToken.failures + 1)
            .returning(OneTimeToken.token_hash, OneTimeToken.code_hash)
            .execution_options(synchronize_session=False)
        )
        expected = code_hash(challenge_hash, code)
        # A mail that was sent twice has left two rows.
        rows = db.session.execute(guessed).all()
        matching = [row.token_hash for row in rows if compare_digest(row.code_hash or b"", expected)]
        return self._use(user_id, matching[0], TokenPurpose.LOGIN) if matching else None

    def _use(self, user_id: UUID, token_hash: bytes, purpose: str, *which: ColumnElement[bool]) -> UsedToken | None:
        used = (
            delete(OneTimeToken)
            .where(*_is_token(user_id, token_hash, purpose), OneTimeToken.expires_at > clock.now(), *which)
            .returning(OneTimeToken.address_key)
            .execution_options(synchronize_session=False)
        )
        row = db.session.execute(used).one_or_none()
        if row is None:
            return None
        self._delete(*_same_purpose(user_id, purpose, row.address_key))
        return UsedToken(user_id, row.address_key)

    def is_live(self, user_id: UUID, purpose: str, address_key: str) -> bool:
        """Tell whether an account has a live token for ``purpose`` that was sent to this address."""
        live = exists().where(OneTimeToken.user_id == user_id, OneTimeToken.expires_at > clock.now())
        live = live.where(OneTimeToken.purpose == purpose, OneTimeToken.address_key == address_key)
        return bool(db.session.scalar(select(live)))

    def void(self, user_id: UUID, purpose: str) -> None:
        """Delete the tokens of an account for one purpose."""
        self._lock(user_id)
        self._delete(OneTimeToken.user_id == user_id, OneTimeToken.purpose == purpose)

    def void_all(self, user_id: UUID) -> None:
        """Delete the tokens of an account, but those that survive changes. A change of the account does so itself."""
        kept = [name for name, rule in token_purposes.items() if rule.survives_changes]
        self._lock(user_id)
        self._delete(OneTimeToken.user_id == user_id, OneTimeToken.purpose.not_in(kept))

    def _lock(self, user_id: UUID) -> None:
        # The account first, like every other change of it: two in another order would wait for each other for ever.
        db.session.execute(select(User.id).where(User.id == user_id).with_for_update(key_share=True))

    def _delete(self, *which: ColumnElement[bool]) -> None:
        db.session.execute(delete(OneTimeToken).where(*which).execution_options(synchronize_session=False))


@hooks.user_changing.connect
def _void_after_change(_app: object, *, user_id: UUID, fields: set[str], **_: object) -> None:
    if voids_links(fields):
        OneTimeTokens().void_all(user_id)


def voids_links(fields: set[str]) -> bool:
    """Tell whether a change of these fields of an account voids the links that were sent before."""
    return bool(fields - _HARMLESS_CHANGES)


def code_hash(challenge_hash: bytes, code: str) -> bytes:
    """Return what is stored of a code.

    A code has too little entropy for a hash to hide it. Whoever reads the table does not know the challenge, though,
    and cannot use a code without it.
    """
    return sha256(challenge_hash + code.encode()).digest()


def _is_token(user_id: UUID, token_hash: bytes, purpose: str) -> tuple[ColumnElement[bool], ...]:
    key = (OneTimeToken.user_id == user_id, OneTimeToken.purpose == purpose)
    return (*key, OneTimeToken.token_hash == token_hash)


def _same_purpose(user_id: UUID, purpose: str, address_key: str) -> tuple[ColumnElement[bool], ...]:
    """Return the condition for the tokens that one voids when it is used, and counts among when it is issued.

    Of those that survive changes, only the ones for the same address: whoever changed the address several times gets
    such links too, and must not void the link to the first one.
    """
    which = (OneTimeToken.user_id == user_id, OneTimeToken.purpose == purpose)
    return (*which, OneTimeToken.address_key == address_key) if token_purposes[purpose].survives_changes else which


def _key_of(token: str) -> tuple[UUID, bytes] | None:
    try:
        data = base64url.decode(token)
    except ValueError:
        return None
    if len(data) != len(UUID(int=0).bytes) + SECRET_BYTES:
        return None
    return UUID(bytes=data[:-SECRET_BYTES]), sha256(data).digest()
