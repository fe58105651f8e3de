"""Mails that tell the owner of an account what happened to its second factors, stored by hooks."""

from typing import Any
from uuid import UUID

from authapp.context import RequestContext
from authapp.domain import hooks
from authapp.domain.audit import EventType
from authapp.domain.email.kinds import FACTOR_ADDED, FACTOR_REMOVED, PASSKEY_COPIED, RECOVERY_CODE_USED
from authapp.domain.email.outbox import Outbox


class FactorNotices:
    """Stores the notices of one application, each in the transaction of what it tells of."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def connect(self, app: object) -> None:
        """Connect to the hooks of ``app``. Keep this object: a hook does not."""
        hooks.factors_changing.connect(self.store_change, sender=app)
        hooks.recovery_code_used.connect(self.store_recovery_code_used, sender=app)
        hooks.passkey_counter_reversed.connect(self.store_passkey_copied, sender=app)

    def store_change(
        self, _app: object, *, user_id: UUID, event: str, factor: str, context: RequestContext, **_: object
    ) -> None:
        """Store the mail about a factor that was added, with a link to undo that; or about removed ones."""
        kind = FACTOR_ADDED if event == EventType.FACTOR_ADDED else FACTOR_REMOVED
        self._store(kind, user_id, context, factor=factor)

    def store_recovery_code_used(
        self, _app: object, *, user_id: UUID, remaining: int, context: RequestContext, **_: object
    ) -> None:
        """Store the mail about a recovery code that was used."""
        self._store(RECOVERY_CODE_USED, user_id, context, remaining=remaining)

    def store_passkey_copied(self, _app: object, *, user_id: UUID, context: RequestContext, **_: object) -> None:
        """Store the mail about a passkey of which there may be a copy."""
        self._store(PASSKEY_COPIED, user_id, context)

    def _store(self, kind: str, user_id: UUID, context: RequestContext, **details: Any) -> None:
        self._outbox.add(kind, user_id=user_id, address=None, context=context, details=details)
