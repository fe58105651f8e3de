"""Mails that tell the owner of an account what happened to its second factors, stored by hooks."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from authapp.context import RequestContext
from authapp.database.session import db
from authapp.domain import hooks
from authapp.domain.audit import EventType
from authapp.domain.email.kinds import (
    FACTOR_ADDED,
    FACTOR_REMOVED,
    PASSKEY_COUNTER_REVERSED,
    RECOVERY_CODE_USED,
    RECOVERY_CODES_CREATED,
)
from authapp.domain.mail.account_mails import AccountMails
from authapp.domain.mail.kinds import mail_kinds
from authapp.models import User

_KINDS = {
    EventType.FACTOR_ADDED: FACTOR_ADDED,
    EventType.FACTOR_REMOVED: FACTOR_REMOVED,
    EventType.FACTOR_RESET: FACTOR_REMOVED,
    EventType.RECOVERY_CODE_USED: RECOVERY_CODE_USED,
    EventType.RECOVERY_CODES_CREATED: RECOVERY_CODES_CREATED,
    EventType.PASSKEY_COUNTER_REVERSED: PASSKEY_COUNTER_REVERSED,
}
"""The kind of mail about each event. That about a factor that was added has a link to undo it."""


class FactorNotices:
    """Stores the notices of one application, each in the transaction of what it tells of."""

    def __init__(self, account_mails: AccountMails) -> None:
        self._account_mails = account_mails

    def connect(self, app: object) -> None:
        """Connect to the hook of ``app``. It refers to this object weakly: keep a reference."""
        hooks.factors_changing.connect(self.store, sender=app)

    def store(
        self,
        _app: object,
        *,
        user_id: UUID,
        event: str,
        details: Mapping[str, Any],
        context: RequestContext,
        **_: object,
    ) -> None:
        """Store the mail about an event, with those of its details that the mail has."""
        user, kind = db.session.get_one(User, user_id), _KINDS[event]
        self._account_mails.store(
            kind,
            user_id=user_id,
            address=user.address,
            verified=user.email_verified_at is not None,
            context=context,
            details={name: details[name] for name in mail_kinds[kind].details},
        )
