"""Proofs of an address: what they change, and what ends when an account was prepared for somebody else to use.

Pre-hijacking (Sudhodanan and Paverd, USENIX Security 2022): somebody registers the address of another person and waits.
``docs/decisions/0039-proofs-of-an-address.md`` goes through its five classes.
"""

from authapp import clock
from authapp.context import RequestContext
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.hooks import Hooks, account_claimed
from authapp.domain.one_time_tokens import OneTimeTokens
from authapp.domain.users.rows import lock_account
from authapp.errors import OneTimeTokenInvalid
from authapp.models import User, UserStatus


def use_token(tokens: OneTimeTokens, token: str, purpose: str) -> User:
    """Use a token within the open transaction, and return its account, locked.

    Raises ``OneTimeTokenInvalid``, also if the account is disabled or has another address than the token was sent to.
    """
    used = tokens.use(token, purpose)
    user = used and lock_account(used.user_id)
    if not used or not user or user.status != UserStatus.ACTIVE or user.email_key != used.address_key:
        raise OneTimeTokenInvalid
    return user


def mark_verified(user: User, hooks: Hooks, context: RequestContext) -> None:
    """Mark the address of a locked account as verified, unless it is."""
    if user.email_verified_at is None:
        user.set_verified(clock.now())
        user.updated_at = clock.now()
        audit.record(EventType.EMAIL_VERIFIED, context=context, subject_id=user.id)
        hooks.send_user_changing(user, {"email_verified_at"}, context=context)


def prove_address(user: User, hooks: Hooks, context: RequestContext) -> bool:
    """Mark the address of a locked account as verified by somebody who may not be the one who registered it.

    Returns whether no address of it was ever verified. Then whoever registered it loses the account: a pending address
    ends, receivers of ``account_claimed`` remove other credentials, and the caller voids the password or sets another
    one, which ends the sessions.
    """
    is_claimed = user.first_verified_at is None
    mark_verified(user, hooks, context)
    if is_claimed:
        user.forget_pending_email()
        hooks.send(account_claimed, context=context, user_id=user.id)
    return is_claimed
