"""Recovery codes as a factor, and making new ones."""

from uuid import UUID

from authapp.context import RequestContext
from authapp.database.session import transaction
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.factors.enrolled import factors_of
from authapp.domain.factors.recovery_codes import RecoveryCodes
from authapp.domain.hooks import Hooks, recovery_code_used, recovery_codes_created
from authapp.domain.sessions.authentication import RECOVERY
from authapp.domain.users.rows import lock_own
from authapp.errors import ResourceNotFound


class Recovery:
    """The use cases of recovery codes."""

    def __init__(self, codes: RecoveryCodes, hooks: Hooks) -> None:
        self._codes = codes
        self._hooks = hooks

    def prove(self, user_id: UUID, code: str, context: RequestContext) -> tuple[str, ...]:
        """Use a code up, within the open transaction; see ``ProveCode``."""
        if not self._codes.use(user_id, code):
            return ()
        remaining = self._codes.remaining(user_id)
        audit.record(EventType.RECOVERY_CODE_USED, context=context, subject_id=user_id, remaining=remaining)
        self._hooks.send_within(recovery_code_used, context=context, user_id=user_id, remaining=remaining)
        return (RECOVERY,)

    def renew(self, user_id: UUID, context: RequestContext) -> list[str]:
        """Return new codes for an account, in place of those that it has.

        Raises ``ResourceNotFound`` if it has no second factor that they could replace.
        """
        with transaction():
            user = lock_own(user_id, context)
            if not factors_of(user.id).second():
                raise ResourceNotFound("Add a second factor first: recovery codes are a way around it.")
            codes = self._codes.replace_all(user.id)
            audit.record(EventType.RECOVERY_CODES_CREATED, context=context, subject_id=user.id)
            self._hooks.send_within(recovery_codes_created, context=context, user_id=user.id)
        return codes
