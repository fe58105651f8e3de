"""Making one's own recovery codes anew."""

from uuid import UUID

from authapp.context import RequestContext
from authapp.domain.factors.enrolled import factors_of
from authapp.domain.factors.factor_changes import FactorChanges
from authapp.domain.hooks import Hooks, recovery_codes_created
from authapp.errors import ResourceNotFound


class RecoveryCodes:
    """The use cases of recovery codes."""

    def __init__(self, changes: FactorChanges, hooks: Hooks) -> None:
        self._changes = changes
        self._hooks = hooks

    def renew(self, user_id: UUID, context: RequestContext) -> list[str]:
        """Return new codes for an account, in place of those that it has.

        Raises ``ResourceNotFound`` if it has no second factor that they could replace, or what
        ``FactorChanges.by_owner`` raises.
        """
        with self._changes.by_owner(user_id, context) as change:
            if not factors_of(user_id).second_factors:
                raise ResourceNotFound("Add a second factor first: recovery codes are a way around it.")
            codes = change.create_recovery_codes(context)
            self._hooks.send_within(recovery_codes_created, context=context, user_id=user_id)
        return codes
