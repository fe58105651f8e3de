"""Making one's own recovery codes anew."""

from uuid import UUID

from authapp.context import RequestContext
from authapp.domain.factors.factor_changes import FactorChanges
from authapp.errors import ResourceNotFound


class RecoveryCodeRenewal:
    """The use case of making one's own recovery codes anew."""

    def __init__(self, changes: FactorChanges) -> None:
        self._changes = changes

    def renew(self, user_id: UUID, context: RequestContext) -> list[str]:
        """Return new codes for an account, in place of those that it has.

        Raises ``ResourceNotFound`` if it has no second factor that they could replace, or what
        ``FactorChanges.by_owner`` raises.
        """
        with self._changes.by_owner(user_id, context) as change:
            if not change.enrolled.second_factors:
                raise ResourceNotFound("Add a second factor first: recovery codes are a way around it.")
            return change.renew_recovery_codes(context)
