"""One-time tokens: sent to an email address, bound to a user, a purpose and that address, and usable once.

``security/user_tokens.py`` has what a token is. Each function works within the caller's open transaction, but ``find``:
that is asked outside one, before work that takes long.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, exists, func, select

from authapp import clock
from authapp.database.session import db, read_one
from authapp.domain import hooks
from authapp.domain.account_locks import lock_account_row
from authapp.domain.pruning import Prunable, prunables
from authapp.domain.token_purposes import token_purposes
from authapp.domain.voiding_fields import voids_links
from authapp.models import OneTimeToken, User, UserStatus
from authapp.models.user import lookup_key
from authapp.security.user_tokens import new_token, read_token

MAX_PER_PURPOSE = 5
"""How many mails of one purpose may have live tokens of an account. A token without a mail counts as one.

A newer one voids none of those that are in the user's mailbox already: whoever requests mails to somebody else would
void the link that the owner is about to open. So beyond this number, no token is issued until one expires.
"""

MAX_PER_MAIL = 2
"""How many live tokens one mail has: the new one, and that of the last attempt, whose mail may have arrived."""

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

    ``is_current`` is whether the account is active and still has that address. ``token_hash`` is its SHA-256.
    """

    user_id: UUID
    token_hash: bytes
    purpose: str
    address_key: str
    username: str
    email: str
    is_current: bool


_mail_or_token = func.coalesce(func.uuid_send(OneTimeToken.mail_id), OneTimeToken.token_hash)

_IS_CURRENT = and_(User.status == UserStatus.ACTIVE, User.email_key == OneTimeToken.address_key)


class TooManyTokens(Exception):
    """``MAX_PER_PURPOSE`` mails have live tokens of the account for the purpose, so no other is issued."""


def issue(
    user_id: UUID,
    purpose: str,
    *,
    sent_to: str,
    challenge_hash: bytes | None = None,
    code_hash: bytes | None = None,
    mail_id: UUID | None = None,
) -> str:
    """Return a new token for ``purpose``, to be sent to the address ``sent_to``. Its rule says when it expires.

    ``challenge_hash`` binds a login link to the client that requested it, which may also send a code instead.
    ``mail_id`` is the mail that carries the token. However often it is sent, it has ``MAX_PER_MAIL`` live ones.

    Raises ``TooManyTokens`` if ``MAX_PER_PURPOSE`` other mails have live ones of the account, for ``sent_to`` alone
    if the purpose survives changes.
    """
    now, (token, token_hash) = clock.now(), new_token(user_id)
    same_purpose = _same_purpose(user_id, purpose, lookup_key(sent_to))
    lock_account_row(user_id)
    _delete(*same_purpose, OneTimeToken.expires_at <= now)
    if mail_id is not None:
        _make_room(mail_id, *same_purpose)
    others = OneTimeToken.mail_id.is_distinct_from(mail_id) | OneTimeToken.mail_id.is_(None)
    live = select(func.count(func.distinct(_mail_or_token))).where(*same_purpose, others)
    if (db.session.scalar(live) or 0) >= MAX_PER_PURPOSE:
        raise TooManyTokens
    db.session.add(
        OneTimeToken(
            user_id=user_id,
            purpose=purpose,
            token_hash=token_hash,
            address_key=lookup_key(sent_to),
            challenge_hash=challenge_hash,
            code_hash=code_hash,
            mail_id=mail_id,
            created_at=now,
            expires_at=now + token_purposes[purpose].lifetime,
        )
    )
    db.session.flush()
    return token


def _make_room(mail_id: UUID, *which: ColumnElement[bool]) -> None:
    """Delete the older tokens of a mail that is sent again."""
    newest_first = (OneTimeToken.created_at.desc(), OneTimeToken.token_hash)
    older = select(OneTimeToken.token_hash).where(*which, OneTimeToken.mail_id == mail_id).order_by(*newest_first)
    _delete(*which, OneTimeToken.token_hash.in_(older.offset(MAX_PER_MAIL - 1)))


def void_token(token: str, purpose: str) -> None:
    """Delete a token that was not sent after all, so that it does not count among those of the account."""
    if key := read_token(token):
        _delete(*_is_token(*key, purpose))


def find(token: str, *purposes: str) -> FoundToken | None:
    """Return a token for one of ``purposes`` without using it, or ``None``, as ``use`` would.

    It is one look-up, and gives its connection back: ask it before work that takes long, such as a password hash.
    """
    key = read_token(token)
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
    return row and FoundToken(
        user_id, token_hash, row.purpose, row.address_key, row.username, row.email, row.is_current
    )


def use(token: str, purpose: str, *, challenge_hash: bytes | None = None) -> UsedToken | None:
    """Use a token, and delete it together with all other tokens for the same purpose and account.

    It looks at no account: ``address_proofs.use_token`` does, and is what most links need.

    Returns ``None`` if it is unknown, expired, already used, or for another purpose, or was requested with another
    challenge. The answer is the same for all of these, so that it reveals nothing. If a token is used twice at
    once, DELETE lets only one succeed. A link that restores an address leaves those for other addresses as they
    are: see ``PurposeRule``.
    """
    key = read_token(token)
    bound = () if challenge_hash is None else (OneTimeToken.challenge_hash == challenge_hash,)
    return key and use_stored(*key, purpose, *bound)


def use_found(found: FoundToken) -> UsedToken | None:
    """Do the same with a token that ``find`` has returned. It may have been used since."""
    return use_stored(found.user_id, found.token_hash, found.purpose)


def use_stored(user_id: UUID, token_hash: bytes, purpose: str, *which: ColumnElement[bool]) -> UsedToken | None:
    """Do the same with the token that has this hash, if it meets the conditions ``which``."""
    lock_account_row(user_id)
    used = (
        delete(OneTimeToken)
        .where(*_is_token(user_id, token_hash, purpose), OneTimeToken.expires_at > clock.now(), *which)
        .returning(OneTimeToken.address_key)
        .execution_options(synchronize_session=False)
    )
    row = db.session.execute(used).one_or_none()
    if row is None:
        return None
    _delete(*_same_purpose(user_id, purpose, row.address_key))
    return UsedToken(user_id, row.address_key)


def is_live(user_id: UUID, purpose: str, address_key: str) -> bool:
    """Tell whether an account has a live token for ``purpose`` that was sent to this address."""
    live = exists().where(OneTimeToken.user_id == user_id, OneTimeToken.expires_at > clock.now())
    live = live.where(OneTimeToken.purpose == purpose, OneTimeToken.address_key == address_key)
    return bool(db.session.scalar(select(live)))


def void(user_id: UUID, purpose: str) -> None:
    """Delete the tokens of an account for one purpose."""
    lock_account_row(user_id)
    _delete(OneTimeToken.user_id == user_id, OneTimeToken.purpose == purpose)


def void_all(user_id: UUID) -> None:
    """Delete the tokens of an account, but those that survive changes. A change of the account does so itself."""
    kept = [name for name, rule in token_purposes.items() if rule.survives_changes]
    lock_account_row(user_id)
    _delete(OneTimeToken.user_id == user_id, OneTimeToken.purpose.not_in(kept))


def _delete(*which: ColumnElement[bool]) -> None:
    db.session.execute(delete(OneTimeToken).where(*which).execution_options(synchronize_session=False))


@hooks.user_changing.connect
def _void_after_change(_app: object, *, user_id: UUID, fields: set[str], **_: object) -> None:
    if voids_links(fields):
        void_all(user_id)


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
