"""Logins that wait for their second factor. The client holds a token of the one that it began.

The API calls the token a challenge. It is the base64url of the user's id and 256 random bits, and contains the id so
that a lookup needs only the database shard of that user. Only its SHA-256 is stored.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_bytes
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, delete, select, tuple_, update

from authapp import clock
from authapp.database.session import db, read_one, transaction
from authapp.domain.pruning import Prunable, prunables
from authapp.domain.sessions.authentication import AuthenticationResult
from authapp.models import SecondFactorChallenge, User, UserStatus
from authapp.models.session import server_time
from authapp.security import base64url

LIFETIME = timedelta(minutes=5)
ID_BYTES = 16
SECRET_BYTES = 32
MAX_FAILURES = 5
"""After so many wrong codes the login starts again."""

MAX_PER_ACCOUNT = 5
"""Of more logins of an account that wait, the oldest go: only those who know its password can begin them."""

prunables.register(
    "second_factor_challenges",
    Prunable(
        "second_factor_challenges",
        SecondFactorChallenge.expires_at,
        lambda now: SecondFactorChallenge.expires_at < now,
    ),
)


@dataclass(frozen=True)
class PendingLogin:
    """A login that waits: its user, the SHA-256 of its token, and what was proven.

    ``account_version`` is ``users.updated_at`` as it was then.
    """

    user_id: UUID
    token_hash: bytes
    amr: tuple[str, ...]
    account_version: datetime


def issue(result: AuthenticationResult) -> str:
    """Store the login of ``result``, and return its token. It commits by itself.

    If the account has been deleted meanwhile, nothing is stored, and the token is one that is not known.
    """
    now, token = clock.now(), result.user_id.bytes + token_bytes(SECRET_BYTES)
    with transaction() as session:
        if session.scalar(_locked_account(result.user_id)) is not None:
            _make_room(result.user_id)
            session.add(
                SecondFactorChallenge(
                    user_id=result.user_id,
                    challenge_hash=sha256(token).digest(),
                    amr=list(result.amr),
                    account_version=result.account_version,
                    created_at=server_time(),
                    expires_at=now + LIFETIME,
                )
            )
    return base64url.encode(token)


def find(token: str) -> PendingLogin | None:
    """Return the login that waits with this token, unless it is over or the account has changed since."""
    key = _key_of(token)
    row = key and read_one(_pending(*key))
    return PendingLogin(key[0], key[1], tuple(row.amr), row.account_version) if key and row else None


def lock(login: PendingLogin) -> bool:
    """Lock a login within the open transaction, and return whether it still waits.

    Of several requests that complete one login, the others wait here, and then find it completed.
    """
    db.session.execute(_locked_account(login.user_id))
    key = (login.user_id, login.token_hash)
    return db.session.execute(_pending(*key)).one_or_none() is not None


def consume(login: PendingLogin) -> None:
    """Delete a locked login, which is complete, within the open transaction."""
    db.session.execute(_without_sync(delete(SecondFactorChallenge).where(_is(login))))


def delete_all(user_id: UUID) -> None:
    """Delete the logins of an account that wait, within the open transaction."""
    db.session.execute(_without_sync(delete(SecondFactorChallenge).where(SecondFactorChallenge.user_id == user_id)))


def count_failure(login: PendingLogin) -> None:
    """Count a wrong code for a locked login within the open transaction. The last one ends it."""
    failures = SecondFactorChallenge.failures + 1
    db.session.execute(_without_sync(update(SecondFactorChallenge).where(_is(login)).values(failures=failures)))


def _pending(user_id: UUID, token_hash: bytes) -> Select[list[str], datetime]:
    return (
        select(SecondFactorChallenge.amr, SecondFactorChallenge.account_version)
        .join(User, User.id == SecondFactorChallenge.user_id)
        .where(
            SecondFactorChallenge.user_id == user_id,
            SecondFactorChallenge.challenge_hash == token_hash,
            SecondFactorChallenge.expires_at > clock.now(),
            SecondFactorChallenge.failures < MAX_FAILURES,
            SecondFactorChallenge.account_version == User.updated_at,
            # Logging out everywhere voids the logins that are half done, too.
            SecondFactorChallenge.created_at >= User.sessions_valid_from,
            User.status == UserStatus.ACTIVE,
        )
    )


def _locked_account(user_id: UUID) -> Select[UUID]:
    # The account first, like every other change of it: two in another order would wait for each other for ever.
    return select(User.id).where(User.id == user_id).with_for_update(key_share=True)


def _make_room(user_id: UUID) -> None:
    """Delete the oldest logins of a locked account, so that there is room for one more."""
    key = (SecondFactorChallenge.user_id, SecondFactorChallenge.challenge_hash)
    newest_first = (SecondFactorChallenge.created_at.desc(), SecondFactorChallenge.challenge_hash)
    surplus = select(*key).where(key[0] == user_id).order_by(*newest_first).offset(MAX_PER_ACCOUNT - 1)
    db.session.execute(_without_sync(delete(SecondFactorChallenge).where(tuple_(*key).in_(surplus))))


def _is(login: PendingLogin) -> ColumnElement[bool]:
    key = (SecondFactorChallenge.user_id, SecondFactorChallenge.challenge_hash)
    return tuple_(*key) == (login.user_id, login.token_hash)


def _key_of(token: str) -> tuple[UUID, bytes] | None:
    try:
        data = base64url.decode(token)
    except ValueError:
        return None
    if len(data) != ID_BYTES + SECRET_BYTES:
        return None
    return UUID(bytes=data[:ID_BYTES]), sha256(data).digest()


def _without_sync(statement: Any) -> Any:
    return statement.execution_options(synchronize_session=False)
