"""Registration where the address has to be verified: the answer does not tell whether an account has it."""

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from authapp.context import RequestContext
from authapp.database.errors import broken_constraint
from authapp.database.session import db, transaction
from authapp.domain.email.kinds import ACCOUNT_EXISTS, VERIFY_EMAIL
from authapp.domain.mail.counted_mails import CountedMails
from authapp.domain.users.accounts import Accounts
from authapp.domain.users.rows import UNIQUE_EMAIL, unique_names
from authapp.models import User
from authapp.models.user import email_key
from authapp.security import identifiers


class VerifiedRegistrations:
    """The use case of registering where verification is required."""

    def __init__(self, accounts: Accounts, counted_mails: CountedMails) -> None:
        self._accounts = accounts
        self._counted_mails = counted_mails

    def register(self, *, username: str, email: str, password: str, context: RequestContext) -> None:
        """Create an account for a guest, and send a link that verifies its address.

        If an account has the address already, a mail tells its owner, and the account that is created has an address
        that nobody can verify. So neither the answer nor its time, nor what follows, tells the two apart: the username
        is taken, and a login is refused until an address is verified.

        Raises ``RegistrationClosed``, ``ValidationFailed``, ``PasswordRejected``, ``UsernameTaken``,
        ``ServiceUnavailable``, and whatever a hook raises.
        """
        user = self._accounts.prepare(username=username, email=email, password=password, context=context)
        address, key = user.address, email_key(user.address)
        # Under a key that nobody has, so that the username decides first, which is not secret.
        user.email_key = f"{identifiers.random_text()}@taken.invalid"
        with unique_names(), transaction() as session:
            self._accounts.store(user, context)
            is_free = session.scalar(select(User.id).where(User.email_key == key)) is None
            has_address = is_free and _give_key(user, key)
            if not has_address:
                _give_decoy_address(user)
            # Counted in both cases, so that nobody can flood the address.
            self._counted_mails.store_in_transaction(VERIFY_EMAIL if has_address else ACCOUNT_EXISTS, address, context)
        if has_address:
            self._accounts.announce(user, context)


def _give_key(user: User, key: str) -> bool:
    """Give the account its address, and return whether it was free: another request may have taken it just now."""
    try:
        with db.session.begin_nested():
            user.email_key = key
    except IntegrityError as error:
        if broken_constraint(error) != UNIQUE_EMAIL:
            raise
        return False
    return True


def _give_decoy_address(user: User) -> None:
    # In a savepoint as well, and one UPDATE, as in the other case.
    with db.session.begin_nested():
        user.email = user.email_key
