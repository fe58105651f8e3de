"""Undoing a change of address, with the link in the mail that told the address before."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from authapp import clock
from authapp.context import RequestContext
from authapp.database.session import db, transaction
from authapp.domain import audit, hooks
from authapp.domain.audit import EventType
from authapp.domain.email import previous_addresses
from authapp.domain.email.address_proofs import void_credentials
from authapp.domain.email.factor_undo import UNDO_WINDOW
from authapp.domain.email.kinds import EMAIL_CHANGED_NOTICE
from authapp.domain.email.previous_addresses import Restored
from authapp.domain.hooks import Hooks
from authapp.domain.mail.account_mails import AccountMails
from authapp.domain.one_time_tokens import FoundToken, OneTimeTokens
from authapp.domain.token_purposes import TokenPurpose
from authapp.domain.users.new_password import send_sessions_ended, void_password
from authapp.domain.users.rows import delete_account, lock_account, unique_names
from authapp.errors import EmailTaken, OneTimeTokenInvalid
from authapp.models import User, UserStatus
from authapp.models.user import email_key


class AddressUndo:
    """The use case of undoing a change of address: the account goes back to its former owner, who was robbed of it."""

    purpose = TokenPurpose.UNDO_EMAIL

    def __init__(self, tokens: OneTimeTokens, account_mails: AccountMails, hooks: Hooks) -> None:
        self._tokens = tokens
        self._account_mails = account_mails
        self._hooks = hooks

    def confirm(self, found: FoundToken, _password: str | None, context: RequestContext) -> None:
        """Restore the address that the token was sent to, end every session, and void the password.

        The token is enough: who needs it was robbed of the account, and does not know its password.

        ``Notices`` stores the mail with a link to choose another password. Links to later addresses are void. Another
        account that has taken the address meanwhile is deleted, if none of its addresses was ever verified and it has
        no role. If no address of this account was verified before the change, its reader takes it over as with a reset:
        no credential stays, and no other account is deleted.

        Raises ``OneTimeTokenInvalid``, also while the account is disabled, or ``EmailTaken``. The token then stays.
        """
        with unique_names(), transaction():
            locked = _lock_with_holder(found)
            if self._tokens.use_found(found) is None:
                raise OneTimeTokenInvalid
            user = lock_account(found.user_id)
            restored = previous_addresses.restore(user, found.address_key)
            if restored is None or user.status != UserStatus.ACTIVE:
                raise OneTimeTokenInvalid
            deleted = _make_way(user, restored, locked, context)
            ended = self._restore(user, restored, context)
        send_sessions_ended(user.id, ended, self._hooks, context)
        if deleted is not None:
            details = {"user_id": deleted.id, "username": deleted.username}
            self._hooks.send_after_commit(hooks.user_deleted, context=context, **details)

    def _restore(self, user: User, restored: Restored, context: RequestContext) -> int:
        replaced, was_verified = user.address, user.email_verified_at is not None
        user.email = restored.email
        ended = void_password(user, context)
        void_credentials(user, self._hooks, context, since=self._added_since(user, restored))
        # The link was sent to this address.
        user.set_verified(user.updated_at)
        # The mailbox before may have been left or leaked: who loses the account hears of it.
        self._account_mails.store(
            EMAIL_CHANGED_NOTICE, user_id=user.id, address=replaced, verified=was_verified, context=context
        )
        audit.record(EventType.EMAIL_CHANGE_UNDONE, context=context, subject_id=user.id, sessions_ended=ended)
        self._hooks.send_user_changing(user, {"email", "password"}, context=context, previous={"email": replaced})
        return ended

    def _added_since(self, user: User, restored: Restored) -> datetime | None:
        """Return from when on added credentials go: since the change, as with the link about a new factor, or all.

        A thief may have added credentials since. Those from before are the owner's: a mailbox that somebody has left
        must not be a way past them. But where no address had been verified, a thief may have registered that of
        somebody else, and may be the one who changed it: then nothing is the owner's.

        A thief may have added a factor before the change. If the restored address has a live link that removes what was
        added lately, this link does the same: its reader has both.
        """
        if not restored.was_ever_verified:
            return None
        if self._tokens.is_live(user.id, TokenPurpose.UNDO_FACTORS, email_key(restored.email)):
            return min(restored.replaced_at, clock.now() - UNDO_WINDOW)
        return restored.replaced_at


def _lock_with_holder(found: FoundToken) -> set[UUID]:
    """Lock the account, and the one that has its former address, in the order of their ids; return the ids."""
    holder = select(User.id).where(User.email_key == found.address_key).scalar_subquery()
    both = select(User.id).where((User.id == found.user_id) | (User.id == holder)).order_by(User.id)
    return set(db.session.scalars(both.with_for_update(key_share=True)))


def _make_way(user: User, restored: Restored, locked: set[UUID], context: RequestContext) -> User | None:
    """Delete the account that has taken the address, and return it, if there is one. Raises ``EmailTaken``."""
    taken = select(User).where(User.email_key == email_key(restored.email), User.id != user.id)
    holder = db.session.scalars(taken.execution_options(populate_existing=True)).one_or_none()
    if holder is None:
        return None
    # Whoever reads the address has the link; the holder has only typed it. If that is all the account to restore did
    # before, the holder may be the account that the reader has made: they choose, by a reset of it. An account with a
    # role was given it by an administrator, who is to decide. One that has come since the locks were taken is left to
    # the next attempt.
    if not restored.was_ever_verified or holder.was_ever_verified or holder.roles or holder.id not in locked:
        raise EmailTaken
    delete_account(holder, context)
    return holder
