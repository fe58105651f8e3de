"""Password resets: with a link in a mail, for users who have lost theirs."""

from authapp.context import RequestContext
from authapp.database.session import transaction
from authapp.domain import one_time_tokens
from authapp.domain.audit import EventType
from authapp.domain.email.address_proofs import prove_address, use_token
from authapp.domain.email.kinds import RESET_PASSWORD
from authapp.domain.hooks import Hooks
from authapp.domain.mail import outbox
from authapp.domain.mail.counted_mails import CountedMails
from authapp.domain.passwords.policy import PasswordPolicy
from authapp.domain.throttles import Throttles
from authapp.domain.token_purposes import TokenPurpose
from authapp.domain.users.names import checked_names
from authapp.domain.users.new_password import send_password_changed, set_password_hash
from authapp.domain.users.rows import UserRef, lock_account
from authapp.errors import OneTimeTokenInvalid
from authapp.models import User


class PasswordResets:
    """The use cases of password resets."""

    def __init__(
        self,
        counted_mails: CountedMails,
        policy: PasswordPolicy,
        throttles: Throttles,
        hooks: Hooks,
    ) -> None:
        self._counted_mails = counted_mails
        self._policy = policy
        self._throttles = throttles
        self._hooks = hooks

    def request(self, address: str, context: RequestContext) -> None:
        """Store a mail with a link to the account that has ``address``, if one has.

        Raises ``ValidationFailed`` for no address.
        """
        self._counted_mails.store_and_commit(RESET_PASSWORD, checked_names(email=address)["email"], context)

    def store(self, ref: UserRef, context: RequestContext) -> User:
        """Store a mail with a link to an account, and return the account.

        Raises ``ResourceNotFound`` or ``ServiceAccount``.
        """
        with transaction():
            user = lock_account(ref)
            outbox.add(RESET_PASSWORD, user_id=user.id, address=user.address, context=context)
        return user

    def complete(self, token: str, new_password: str, context: RequestContext) -> None:
        """Set a new password, end all sessions, and forget the failed logins. The address counts as verified.

        It starts no session: a second factor is still asked for at the next login. If the address was never verified,
        whoever registered it loses the account (``prove_address``).

        Raises ``OneTimeTokenInvalid`` before any hash is computed, ``PasswordRejected``, which leaves the token good,
        or ``ServiceUnavailable``.
        """
        found = one_time_tokens.find(token, TokenPurpose.RESET_PASSWORD)
        if found is None or not found.is_current:
            raise OneTimeTokenInvalid
        names = {"username": found.username, "email": found.email}
        new_hash = self._policy.checked_hash(new_password, **names, context=context, field="new_password")
        with transaction():
            user = use_token(found)
            prove_address(user, self._hooks, context)
            self._throttles.reset_failures_of_first_factors(user.id)
            ended = set_password_hash(user, new_hash, self._hooks, context, event=EventType.PASSWORD_RESET)
        send_password_changed(user.id, ended, self._hooks, context)
