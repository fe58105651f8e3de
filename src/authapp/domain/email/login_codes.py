"""The code in the mail of a login link: whose it is, and its use by guesses that are counted."""

from secrets import compare_digest
from uuid import UUID

from sqlalchemy import select, update

from authapp.database.session import db, read_one
from authapp.domain import one_time_tokens
from authapp.domain.account_locks import lock_account_row
from authapp.domain.one_time_tokens import UsedToken
from authapp.domain.token_purposes import TokenPurpose
from authapp.models import OneTimeToken
from authapp.security.one_time_codes import code_hash

MAX_GUESSES = 5
"""How many codes may be tried for one challenge.

The code has eight digits. Five guesses are right once in 20,000,000 challenges. Whoever asks for many challenges
is stopped by the count of failures per account: ``LOGIN_CODE`` in ``domain/throttle_scopes.py``.
"""


def find_challenged_user(challenge_hash: bytes) -> UUID | None:
    """Return the account whose login link was requested with this challenge, if there is one.

    The only look-up of a token without the user's id: ``docs/decisions/0036-login-links.md`` says why, and what it
    costs. Ask it outside a transaction.
    """
    login = (OneTimeToken.challenge_hash == challenge_hash, OneTimeToken.purpose == TokenPurpose.LOGIN)
    row = read_one(select(OneTimeToken.user_id).where(*login).limit(1))
    return row and row.user_id


def use_code(user_id: UUID, challenge_hash: bytes, code: str) -> UsedToken | None:
    """Use the login link of an account that was requested with this challenge, by the code in its mail.

    A guess is counted before it is compared, and the row stays locked until the caller commits: of any number of
    parallel guesses, ``MAX_GUESSES`` are compared. So commit also if this returns ``None``.
    """
    lock_account_row(user_id)
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
    return one_time_tokens.use_stored(user_id, matching[0], TokenPurpose.LOGIN) if matching else None
