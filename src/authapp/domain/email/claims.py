"""Claiming an account: its owner proves to read its mail, in a way that does not come from who registered it."""

from authapp import clock
from authapp.context import RequestContext
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.hooks import Hooks
from authapp.domain.users.new_password import void_password
from authapp.models import User


def claim(user: User, hooks: Hooks, context: RequestContext) -> int:
    """Note on a locked account that its address is verified, within the open transaction.

    If it never was, somebody else may have registered the account with this address, to share it with its owner later
    (pre-hijacking: Sudhodanan and Paverd, USENIX Security 2022). So its password is void and its sessions end. Returns
    how many were ended; pass it to ``send_sessions_ended`` after the commit.
    """
    if user.email_verified_at is not None:
        return 0
    user.email_verified_at = clock.now()
    audit.record(EventType.EMAIL_VERIFIED, context=context, subject_id=user.id)
    ended = void_password(user, context)
    hooks.send_user_changing(user, {"password"}, context=context)
    return ended
