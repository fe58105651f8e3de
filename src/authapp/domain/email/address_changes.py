"""Changing the address of an account: asked for by its owner, and confirmed with the link in a mail to the new one."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, bindparam, select

from authapp import clock
from authapp.context import RequestContext
from authapp.database.session import db, read_one, transaction
from authapp.domain import audit, hooks, one_time_tokens
from authapp.domain.audit import EventType
from authapp.domain.email import previous_addresses
from authapp.domain.email.address_proofs import require_owner
from authapp.domain.email.kinds import CHANGE_EMAIL, EMAIL_CHANGED, EMAIL_CHANGED_NOTICE
from authapp.domain.hooks import Hooks
from authapp.domain.mail.account_mails import AccountMails
from authapp.domain.mail.counted_mails import CountedMails
from authapp.domain.mail.kinds import mail_kinds
from authapp.domain.one_time_tokens import FoundToken
from authapp.domain.passwords.verifier import PasswordVerifier
from authapp.domain.principals.recent import ActorPolicy
from authapp.domain.roles.grants import require_live
from authapp.domain.token_purposes import TokenPurpose, token_purposes
from authapp.domain.users.names import checked_names
from authapp.domain.users.rows import lock_account, lock_if_unchanged, unique_names
from authapp.domain.voiding_fields import voids_links
from authapp.errors import OneTimeTokenInvalid
from authapp.models import User, UserStatus
from authapp.models.user import email_key

CONFIRMABLE_FOR = token_purposes[TokenPurpose.CHANGE_EMAIL].lifetime + mail_kinds[CHANGE_EMAIL].max_age
"""How long a request counts: as long as a link lives whose mail was sent as late as mails are."""


class AddressChanges:
    """The use cases of changing the address of an account."""

    purpose = TokenPurpose.CHANGE_EMAIL

    def __init__(
        self,
        verifier: PasswordVerifier,
        actor_policy: ActorPolicy,
        counted_mails: CountedMails,
        account_mails: AccountMails,
        hooks: Hooks,
    ) -> None:
        self._verifier = verifier
        self._actor_policy = actor_policy
        self._counted_mails = counted_mails
        self._account_mails = account_mails
        self._hooks = hooks

    def request(self, user_id: UUID, email: str, password: str | None, context: RequestContext) -> None:
        """Store the address that a user wants, and a mail to it with a link that confirms it.

        It replaces an address that was asked for before. The present one withdraws that, and sends no mail. If another
        account has it when the mail is sent, that has no link: neither the answer nor its time tells whether one has.

        Raises what ``require_proven_factor`` raises; ``ValidationFailed``, ``WrongPassword``, ``TooManyRequests`` after
        too many wrong passwords, ``ServiceUnavailable``, or ``TokenRevoked`` if the user was logged out while the
        password was hashed.
        """
        # Every later link to the account goes to its address. It is asked before the hash, which costs more.
        self._actor_policy.require_proven_factor(user_id, context)
        address = checked_names(email=email)["email"]
        confirmed = self._verifier.confirm(user_id, password, context, field="password")
        with transaction():
            user = lock_if_unchanged(user_id, confirmed)
            require_live(context)
            # Its owner may have added a factor while the password was hashed, and kept this session.
            self._actor_policy.require_proven_factor(user_id, context)
            if email_key(address) == user.email_key:
                self._forget_pending(user, context)
                return
            if address != user.pending_email:
                # They confirm nothing any more, and an account has room for few.
                one_time_tokens.void(user_id, TokenPurpose.CHANGE_EMAIL)
            user.pending_email = address
            user.pending_email_until = clock.now() + CONFIRMABLE_FOR
            audit.record(EventType.EMAIL_CHANGE_REQUESTED, context=context, subject_id=user_id)
            self._counted_mails.store_in_transaction(CHANGE_EMAIL, address, context, user_id=user_id)

    def withdraw(self, user_id: UUID, context: RequestContext) -> None:
        """Forget the address that a user asked for, and void the links that confirm it. No request is no error."""
        with transaction():
            self._forget_pending(lock_account(user_id), context)

    def _forget_pending(self, user: User, context: RequestContext) -> None:
        if user.pending_email is None:
            return
        user.forget_pending_email()
        one_time_tokens.void(user.id, TokenPurpose.CHANGE_EMAIL)
        audit.record(EventType.EMAIL_CHANGE_WITHDRAWN, context=context, subject_id=user.id)

    def confirm(self, found: FoundToken, password: str | None, context: RequestContext) -> None:
        """Give an account the address that its owner asked for, and tell the previous one, with a link to undo it.

        The link is not enough: a thief can ask for the address of somebody else, whose click would bind it to an
        account that the thief can take back. The principal has to be the account's, or ``password`` its. The sessions
        go on. Every other link to this account is void, but for those that undo a change.

        Raises ``OneTimeTokenInvalid`` before any hash is computed; and what ``require_owner`` raises, or ``EmailTaken``
        if another account has the address by now, which leave the token good.
        """
        self._require_owner(found, password, context)
        with unique_names(), transaction():
            if one_time_tokens.use_found(found) is None:
                raise OneTimeTokenInvalid
            user, now = lock_account(found.user_id), clock.now()
            self._replace(user, _pending_address(user, found.address_key, now), now, context)

    def _require_owner(self, found: FoundToken, password: str | None, context: RequestContext) -> None:
        row = read_one(_PENDING, {"user_id": found.user_id})
        if row is None:
            raise OneTimeTokenInvalid
        _pending_address(row, found.address_key, clock.now())
        require_owner(self._verifier, found.user_id, password, context)

    def _replace(self, user: User, address: str, now: datetime, context: RequestContext) -> None:
        previous, was_verified, was_ever_verified = (
            user.address,
            user.email_verified_at is not None,
            user.was_ever_verified,
        )
        user.email = address
        user.updated_at = now
        user.set_verified(now)
        can_be_undone = previous_addresses.remember(user, previous, was_ever_verified=was_ever_verified)
        kind = EMAIL_CHANGED if can_be_undone else EMAIL_CHANGED_NOTICE
        self._account_mails.store(kind, user_id=user.id, address=previous, verified=was_verified, context=context)
        audit.record(EventType.EMAIL_CHANGED, context=context, subject_id=user.id)
        self._hooks.send_user_changing(user, {"email"}, context=context, previous={"email": previous})


@hooks.user_changing.connect
def _forget_after_change(_app: object, *, user_id: UUID, fields: set[str], **_: object) -> None:
    # Voiding the tokens is not enough: a mail that is still to be sent would get a new one.
    if voids_links(fields):
        db.session.get_one(User, user_id).forget_pending_email()


_PENDING = select(User.status, User.pending_email, User.pending_email_until).where(User.id == bindparam("user_id"))


def _pending_address(user: User | Row[Any], address_key: str, now: datetime) -> str:
    """Return the address that the account still asks for. Raises ``OneTimeTokenInvalid``."""
    address, until = user.pending_email, user.pending_email_until
    if user.status != UserStatus.ACTIVE or address is None or until is None or until <= now:
        raise OneTimeTokenInvalid
    if email_key(address) != address_key:
        raise OneTimeTokenInvalid
    return address
