"""Mails that tell the owner of an account what happened to its second factors, stored by hooks."""

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
from authapp.models import User


class FactorNotices:
    """Stores the notices of one application, each in the transaction of what it tells of."""

    def __init__(self, account_mails: AccountMails) -> None:
        self._account_mails = account_mails

    def connect(self, app: object) -> None:
        """Connect to the hooks of ``app``. They refer to this object weakly: keep a reference."""
        hooks.factors_changing.connect(self.store_change, sender=app)
        hooks.recovery_code_used.connect(self.store_recovery_code_used, sender=app)
        hooks.recovery_codes_created.connect(self.store_codes_created, sender=app)
        hooks.passkey_counter_reversed.connect(self.store_counter_reversed, sender=app)

    def store_change(
        self, _app: object, *, user_id: UUID, event: str, factor: str, context: RequestContext, **_: object
    ) -> None:
        """Store the mail about a factor that was added, with a link to undo that; or about removed ones."""
        kind = FACTOR_ADDED if event == EventType.FACTOR_ADDED else FACTOR_REMOVED
        self._store(kind, user_id, context, factor=factor)

    def store_codes_created(self, _app: object, *, user_id: UUID, context: RequestContext, **_: object) -> None:
        """Store the mail about new recovery codes."""
        self._store(RECOVERY_CODES_CREATED, user_id, context)

    def store_recovery_code_used(
        self, _app: object, *, user_id: UUID, remaining: int, context: RequestContext, **_: object
    ) -> None:
        """Store the mail about a recovery code that was used."""
        self._store(RECOVERY_CODE_USED, user_id, context, remaining=remaining)

    def store_counter_reversed(self, _app: object, *, user_id: UUID, context: RequestContext, **_: object) -> None:
        """Store the mail about a passkey of which there may be a copy."""
        self._store(PASSKEY_COUNTER_REVERSED, user_id, context)

    def _store(self, kind: str, user_id: UUID, context: RequestContext, **details: Any) -> None:
        user = db.session.get_one(User, user_id)
        verified = user.email_verified_at is not None
        self._account_mails.store(
            kind, user_id=user_id, address=user.address, verified=verified, context=context, details=details
        )
