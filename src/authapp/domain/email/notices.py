"""Mails that tell the owner of an account what happened to it, stored by hooks wherever it happens.

That of a new login is stored by the statement that starts the session (``sessions/start.py``).
"""

from collections.abc import Mapping
from functools import partial
from uuid import UUID

from authapp.context import RequestContext
from authapp.database.session import db
from authapp.domain import hooks
from authapp.domain.email.kinds import (
    EMAIL_CHANGED_NOTICE,
    PASSWORD_CHANGED,
    PASSWORD_VOIDED,
    VERIFY_EMAIL,
)
from authapp.domain.mail.account_mails import AccountMails
from authapp.domain.mail.counted_mails import CountedMails
from authapp.models import User
from authapp.models.user import email_key


class Notices:
    """Stores the notices of one application."""

    def __init__(self, account_mails: AccountMails, counted_mails: CountedMails, *, verification: str) -> None:
        """Take ``AUTHAPP_EMAIL_VERIFICATION``."""
        self._account_mails = account_mails
        self._counted_mails = counted_mails
        self._verification = verification

    def connect(self, app: object) -> None:
        """Connect to the hooks of ``app``. They refer to this object weakly: keep a reference."""
        hooks.user_changing.connect(self.store_changes, sender=app)
        if self._verification != "off":
            hooks.user_creating.connect(self.store_verification, sender=app)

    def store_verification(self, _app: object, *, user_id: UUID, context: RequestContext, **_: object) -> None:
        """Store the mail with a link that verifies the address of a new account, in its transaction."""
        user = db.session.get_one(User, user_id)
        # ``VerifiedRegistrations`` gives an address its key later, and stores the mail whether or not it was free.
        if user.email is not None and user.email_key == email_key(user.email):
            self._store_verification(user, context)

    def _store_verification(self, user: User, context: RequestContext) -> None:
        # Counted: accounts that are created and deleted, or changed back and forth, must not flood an address.
        self._counted_mails.store_in_transaction(VERIFY_EMAIL, user.address, context)

    def store_changes(
        self,
        _app: object,
        *,
        user_id: UUID,
        fields: set[str],
        previous: Mapping[str, str],
        context: RequestContext,
        **_: object,
    ) -> None:
        """Store the mails about a new password, and about an address that was set without a link to it.

        They are in the transaction of the change. An address that is verified was confirmed with a link, and that use
        case stores its own mail.
        """
        user = db.session.get_one(User, user_id)
        store = partial(self._account_mails.store, user_id=user_id, context=context)
        if "password" in fields:
            kind = PASSWORD_VOIDED if user.password_hash is None else PASSWORD_CHANGED
            store(kind, address=user.address, verified=user.email_verified_at is not None)
        if "email" in fields and user.email_verified_at is None:
            # Whether the previous address was verified is not known any more.
            store(EMAIL_CHANGED_NOTICE, address=previous["email"], verified=False)
            if self._verification != "off":
                self._store_verification(user, context)
