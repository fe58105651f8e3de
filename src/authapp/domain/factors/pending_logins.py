"""Logins that wait for their second factor. The client holds a token of the one that it began.

The API calls the token a challenge. ``security/user_tokens.py`` has what it is.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, delete, select, tuple_, update

from authapp import clock
from authapp.database.session import db, read_one, transaction
from authapp.domain.account_locks import lock_account_row
from authapp.domain.pruning import Prunable, prunables
from authapp.domain.sessions.authentication import AuthenticationResult
from authapp.models import PendingLogin, User, UserStatus
from authapp.models.session import server_time
from authapp.security.user_tokens import new_token, read_token

LIFETIME = timedelta(minutes=5)
MAX_FAILURES = 5
"""After so many wrong codes, the login starts again."""

MAX_PER_ACCOUNT = 100
"""Of more logins of an account that wait, the oldest go.

Who knows the password alone can begin them, and push out that of the owner. From one address, at the default
``AUTHAPP_RATE_LIMIT_LOGIN``, that takes 50 seconds, in which the owner sends a code. With many addresses it takes less:
a new password ends it. Codes are counted by account (``SECOND_FACTOR``), however many logins wait.
"""

prunables.register("pending_logins", Prunable("pending_logins", PendingLogin.expires_at))


@dataclass(frozen=True)
class PendingLoginState:
    """A login that waits: its user, the SHA-256 of its token, and what was proven: the methods, and the kind of factor.

    ``account_version`` is ``users.updated_at`` as it was then.
    """

    user_id: UUID
    token_hash: bytes
    amr: tuple[str, ...]
    factor: str | None
    account_version: datetime


def issue(result: AuthenticationResult) -> str:
    """Store the login of ``result``, and return its token. It commits by itself.

    If the account has been deleted meanwhile, nothing is stored, and the token is one that is not known.
    """
    now, (token, token_hash) = clock.now(), new_token(result.user_id)
    with transaction() as session:
        if lock_account_row(result.user_id):
            _make_room(result.user_id)
            session.add(
                PendingLogin(
                    user_id=result.user_id,
                    token_hash=token_hash,
                    amr=list(result.amr),
                    factor=result.factor,
                    account_version=result.account_version,
                    created_at=server_time(),
                    expires_at=now + LIFETIME,
                )
            )
    return token


def find(token: str) -> PendingLoginState | None:
    """Return the login that waits with this token, unless it is over or the account has changed since."""
    key = read_token(token)
    row = key and read_one(_pending(*key))
    return PendingLoginState(*key, tuple(row.amr), row.factor, row.account_version) if key and row else None


def lock(login: PendingLoginState) -> bool:
    """Lock a login within the open transaction, and return whether it still waits.

    Of several requests that complete one login, the others wait here, and then find it completed.
    """
    lock_account_row(login.user_id)
    key = (login.user_id, login.token_hash)
    return db.session.execute(_pending(*key)).one_or_none() is not None


def use(login: PendingLoginState) -> None:
    """Delete a locked login, which is complete, within the open transaction."""
    db.session.execute(_without_sync(delete(PendingLogin).where(_primary_key_is(login))))


def count_failure(login: PendingLoginState) -> None:
    """Count a wrong code for a locked login within the open transaction. The last one ends it."""
    failures = PendingLogin.failures + 1
    db.session.execute(_without_sync(update(PendingLogin).where(_primary_key_is(login)).values(failures=failures)))


def _pending(user_id: UUID, token_hash: bytes) -> Select[list[str], str | None, datetime]:
    return (
        select(PendingLogin.amr, PendingLogin.factor, PendingLogin.account_version)
        .join(User, User.id == PendingLogin.user_id)
        .where(
            PendingLogin.user_id == user_id,
            PendingLogin.token_hash == token_hash,
            PendingLogin.expires_at > clock.now(),
            PendingLogin.failures < MAX_FAILURES,
            PendingLogin.account_version == User.updated_at,
            # Logging out everywhere voids the logins that are half done, too.
            PendingLogin.created_at >= User.sessions_valid_from,
            User.status == UserStatus.ACTIVE,
        )
    )


def _make_room(user_id: UUID) -> None:
    """Delete the oldest logins of a locked account, so that there is room for one more."""
    key = (PendingLogin.user_id, PendingLogin.token_hash)
    newest_first = (PendingLogin.created_at.desc(), PendingLogin.token_hash)
    surplus = select(*key).where(key[0] == user_id).order_by(*newest_first).offset(MAX_PER_ACCOUNT - 1)
    db.session.execute(_without_sync(delete(PendingLogin).where(tuple_(*key).in_(surplus))))


def _primary_key_is(login: PendingLoginState) -> ColumnElement[bool]:
    key = (PendingLogin.user_id, PendingLogin.token_hash)
    return tuple_(*key) == (login.user_id, login.token_hash)


def _without_sync(statement: Any) -> Any:
    return statement.execution_options(synchronize_session=False)
