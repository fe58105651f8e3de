"""Mails that tell the owner of an account what happened to it, such as a new password."""

from uuid import UUID

from authapp.context import RequestContext
from authapp.domain.mail import outbox
from authapp.domain.mail.counted_mails import CountedMails
from authapp.domain.mail.kinds import MailDetails


class AccountMails:
    """Stores such mails, in the transaction of what they report."""

    def __init__(self, counted_mails: CountedMails) -> None:
        self._counted_mails = counted_mails

    def store(
        self,
        kind: str,
        *,
        user_id: UUID,
        address: str,
        verified: bool,
        context: RequestContext,
        details: MailDetails | None = None,
    ) -> None:
        """Store a mail of this kind to ``address``, about the account ``user_id``.

        Unless the account had ``verified`` the address, the mail counts as a request for one, and is not stored above
        the limit: whoever registers with somebody else's address can change a password as often as they like.

        ``details`` are as for ``outbox.add``, which raises the same errors.
        """
        if verified:
            outbox.add(kind, user_id=user_id, address=address, context=context, details=details)
        else:
            self._counted_mails.store_in_transaction(
                kind, address, context, user_id=user_id, details=details, delayed=False
            )
