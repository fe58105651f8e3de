"""Verifying that the owner of an account reads mail at its address, and no login before that where it is required."""

from sqlalchemy import bindparam, select

from authapp.context import RequestContext
from authapp.database.session import read_one, transaction
from authapp.domain import hooks, one_time_tokens
from authapp.domain.email.address_proofs import mark_verified, require_owner, use_token
from authapp.domain.email.kinds import VERIFY_EMAIL
from authapp.domain.hooks import Hooks
from authapp.domain.mail.counted_mails import CountedMails
from authapp.domain.one_time_tokens import FoundToken
from authapp.domain.passwords.verifier import PasswordVerifier
from authapp.domain.sessions.authentication import AuthenticationResult
from authapp.domain.token_purposes import TokenPurpose
from authapp.domain.users.names import checked_names
from authapp.domain.users.rows import UserRef, delete_account, lock_account, require_person
from authapp.errors import EmailNotVerified, OneTimeTokenInvalid
from authapp.models import User


class EmailVerifications:
    """The use cases of verification."""

    purpose = TokenPurpose.VERIFY_EMAIL

    def __init__(
        self,
        counted_mails: CountedMails,
        verifier: PasswordVerifier,
        hooks: Hooks,
        *,
        required: bool,
    ) -> None:
        """With ``required``, nobody logs in before, and the link alone verifies nothing."""
        self._counted_mails = counted_mails
        self._verifier = verifier
        self._hooks = hooks
        self._required = required

    def connect(self, app: object) -> None:
        """Where verification is required, refuse sessions of ``app`` before it, and requests with HTTP Basic."""
        if self._required:
            hooks.before_session_start.connect(_require_verified, sender=app)

    def request(self, address: str, context: RequestContext) -> None:
        """Store a mail with a link to the account that has ``address``, if one has and is not verified.

        Raises ``ValidationFailed`` for no address.
        """
        self._counted_mails.store_and_commit(VERIFY_EMAIL, checked_names(email=address)["email"], context)

    def confirm(self, found: FoundToken, password: str | None, context: RequestContext) -> None:
        """Verify the address that a token was sent to. The password that was registered stays.

        Where verification is required, the link is not enough: somebody may have registered the address of another
        person, whose click would open the account to them. The principal has to be the account's, or ``password`` its.

        Raises ``OneTimeTokenInvalid``; and where it is required what ``require_owner`` raises, which leaves the token
        good.
        """
        if not found.is_current:
            raise OneTimeTokenInvalid
        if self._required:
            require_owner(self._verifier, found.user_id, password, context)
        with transaction():
            mark_verified(use_token(found), self._hooks, context)

    def delete_unverified(self, token: str, context: RequestContext) -> None:
        """Delete an account that was never verified, because the owner of its address did not register it.

        Raises ``OneTimeTokenInvalid``, also if an address of the account was verified, or if the account has a role: an
        administrator gave it, and may have mistyped the address.
        """
        found = one_time_tokens.find(token, TokenPurpose.VERIFY_EMAIL)
        if found is None:
            raise OneTimeTokenInvalid
        with transaction():
            user = use_token(found)
            if user.was_ever_verified or user.roles:
                raise OneTimeTokenInvalid
            delete_account(user, context)
        self._hooks.send_after_commit(hooks.user_deleted, context=context, user_id=user.id, username=user.username)

    def mark(self, ref: UserRef, context: RequestContext) -> User:
        """Mark the address of an account as verified without a link, and return it.

        Raises ``ResourceNotFound`` or ``ServiceAccount``.
        """
        with transaction():
            user = lock_account(ref)
            require_person(user)
            mark_verified(user, self._hooks, context)
        return user


_VERIFIED_AT = select(User.email_verified_at).where(User.id == bindparam("user_id"))


@hooks.may_refuse(EmailNotVerified)
def _require_verified(_app: object, *, result: AuthenticationResult, **_: object) -> None:
    row = read_one(_VERIFIED_AT, {"user_id": result.user_id})
    # Without a row the account has just been deleted, and no session starts.
    if row is not None and row.email_verified_at is None:
        raise EmailNotVerified
