"""Proofs of an address: what they change, and what ends when an account was prepared for somebody else to use.

Pre-hijacking (Sudhodanan and Paverd, USENIX Security 2022): somebody registers the address of another person and waits.
``docs/decisions/0039-proofs-of-an-address.md`` goes through its five classes.
"""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from authapp import clock
from authapp.context import Principal, RequestContext
from authapp.domain import audit, one_time_tokens
from authapp.domain.audit import EventType
from authapp.domain.hooks import Hooks, credentials_voiding
from authapp.domain.one_time_tokens import FoundToken, UsedToken
from authapp.domain.passwords.verifier import PasswordVerifier
from authapp.domain.users.rows import lock_account
from authapp.errors import OneTimeTokenInvalid, WrongPassword
from authapp.models import User, UserStatus


def use_token(found: FoundToken) -> User:
    """Use a token that was found, within the open transaction, and return its account, locked.

    Raises ``OneTimeTokenInvalid``, also if the account is disabled or has another address than the token was sent to.
    """
    used = one_time_tokens.use_found(found)
    user = active_user(used) if used else None
    if user is None:
        raise OneTimeTokenInvalid
    return user


def active_user(used: UsedToken) -> User | None:
    """Return the account, locked, if it is active and still has the address that the token was sent to."""
    user = lock_account(used.user_id)
    return user if user.status == UserStatus.ACTIVE and user.email_key == used.address_key else None


def require_owner(verifier: PasswordVerifier, user_id: UUID, password: str | None, context: RequestContext) -> None:
    """Refuse a request that is not from the owner of an account: in a session of it, or with its password.

    Whoever opens a link reads the mail of the address, and need not be the one who asked for the link.

    Raises ``WrongPassword``, also outside a session of an account without a password; ``ValidationFailed`` without a
    password, ``TooManyRequests`` or ``ServiceUnavailable``.
    """
    principal = context.principal
    if isinstance(principal, Principal) and principal.id == user_id and principal.session_id is not None:
        return
    # As a guest: attempts are counted by account, not by the session of somebody else.
    guest = replace(context, principal=None)
    if verifier.confirm(user_id, password, guest, field="password").password_hash is None:
        raise WrongPassword("This account has no password: send an access token of it, or reset the password.")


def mark_verified(user: User, hooks: Hooks, context: RequestContext) -> None:
    """Mark the address of a locked account as verified, unless it is."""
    if user.email_verified_at is None:
        user.set_verified(clock.now())
        user.updated_at = clock.now()
        audit.record(EventType.EMAIL_VERIFIED, context=context, subject_id=user.id)
        hooks.send_user_changing(user, {"email_verified_at"}, context=context)


def prove_address(user: User, hooks: Hooks, context: RequestContext) -> bool:
    """Mark the address of a locked account as verified by somebody who may not be the one who registered it.

    Returns whether no address of it was ever verified. Then whoever registered it loses the account: all that they left
    is void, and the caller voids the password or sets another one, which ends the sessions and what was asked for with
    ``pending_email``.
    """
    was_ever_verified = user.was_ever_verified
    mark_verified(user, hooks, context)
    if not was_ever_verified:
        void_credentials(user, hooks, context, since=None)
    return not was_ever_verified


def void_credentials(user: User, hooks: Hooks, context: RequestContext, *, since: datetime | None) -> None:
    """Void what somebody else may have added to a locked account since then, and with ``None`` all that they left.

    The password is not among it: the caller voids it or sets another one, unless its owner has it. With ``None``,
    previous addresses cannot be restored either, because they may be those of whoever registered the account.
    """
    if since is None:
        user.previous_emails = None
    hooks.send_within(credentials_voiding, context=context, user_id=user.id, since=since)
