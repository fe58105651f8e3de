"""Registration where the address has to be verified: the answer does not tell whether an account has it."""

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from authapp.context import RequestContext
from authapp.database.errors import broken_constraint
from authapp.database.session import db, transaction
from authapp.domain.email.kinds import ACCOUNT_EXISTS, VERIFY_EMAIL
from authapp.domain.email.requests import MailRequests
from authapp.domain.users.accounts import Accounts
from authapp.domain.users.rows import UNIQUE_EMAIL, unique_names
from authapp.models import User
from authapp.security import identifiers


class VerifiedRegistration:
    """The use case of registering where verification is required."""

    def __init__(self, accounts: Accounts, mail_requests: MailRequests) -> None:
        self._accounts = accounts
        self._mail_requests = mail_requests

    def register(self, *, username: str, email: str, password: str, context: RequestContext) -> None:
        """Create an account for a guest, and send a link that verifies its address.

        If an account has the address already, a mail tells its owner, and nothing is created. The statements are the
        same in both cases, so that the time does not tell them apart: the account is stored under an address that
        nobody has, and taken back. That also decides about the username first, which is not secret.

        Raises ``RegistrationClosed``, ``ValidationFailed``, ``PasswordRejected``, ``UsernameTaken``,
        ``ServiceUnavailable``, and whatever a hook raises.
        """
        user = self._accounts.prepare(username=username, email=email, password=password, context=context)
        with unique_names(), transaction() as session:
            is_taken = session.scalar(select(User.id).where(User.email_key == user.email_key)) is not None
            created = not is_taken and self._store(user, context)
            if not created:
                self._store_and_undo(user, context)
            # Counted in both cases, so that nobody can flood the address.
            self._mail_requests.store(VERIFY_EMAIL if created else ACCOUNT_EXISTS, user.email, context)
        if created:
            self._accounts.announce(user, context)

    def _store(self, user: User, context: RequestContext) -> bool:
        """Store the account, and return whether its address was free: another request may have taken it just now."""
        try:
            with db.session.begin_nested():
                self._accounts.store(user, context)
        except IntegrityError as error:
            if broken_constraint(error) != UNIQUE_EMAIL:
                raise
            return False
        return True

    def _store_and_undo(self, user: User, context: RequestContext) -> None:
        # Under the key alone: receivers of user_creating may look at the address.
        user.email_key = f"{identifiers.random_text()}@taken.invalid"
        with db.session.begin_nested() as savepoint:
            self._accounts.store(user, context)
            savepoint.rollback()
