"""Adding an authenticator app to an account, and removing it."""

from uuid import UUID

from authapp.context import MULTI_FACTOR, RequestContext
from authapp.database.session import transaction
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.factors.enrolled import TOTP, require_second_factor
from authapp.domain.factors.factor_changes import FactorChanges
from authapp.domain.factors.recovery_codes import RecoveryCodes
from authapp.domain.factors.totp_factors import Enrolment, TotpFactors
from authapp.domain.sessions.authentication import ONE_TIME_PASSWORD
from authapp.domain.sessions.sessions import LogoutScope
from authapp.domain.users.rows import lock_own
from authapp.errors import ResourceNotFound, SecondFactorInvalid


class TotpEnrolment:
    """The use cases of the authenticator app of the user's own account."""

    def __init__(self, factors: TotpFactors, codes: RecoveryCodes, changes: FactorChanges) -> None:
        self._factors = factors
        self._codes = codes
        self._changes = changes

    def prove(self, user_id: UUID, code: str, context: RequestContext) -> tuple[str, ...]:
        """Use a code, within the open transaction; see ``ProveCode``."""
        return (ONE_TIME_PASSWORD,) if self._factors.use(user_id, digits_of(code)) else ()

    def begin(self, user_id: UUID, context: RequestContext) -> Enrolment:
        """Return the secret for an app. It counts once ``confirm`` gets a code, and replaces one that waits for that.

        Raises ``FactorExists``, or what ``require_second_factor`` raises.
        """
        with transaction():
            user = lock_own(user_id, context)
            require_second_factor(user.id, context)
            return self._factors.begin(user.id, user.username)

    def confirm(self, user_id: UUID, code: str, context: RequestContext, *, scope: LogoutScope | None) -> list[str]:
        """Add the app whose ``code`` this is, and return new recovery codes. Those from before are void.

        The code also counts as a second factor of the session of ``context``. The sessions that ``scope`` selects end.

        Raises ``SecondFactorInvalid`` if the code is wrong, or no secret has been given out for ten minutes.
        """
        with transaction():
            user = lock_own(user_id, context)
            require_second_factor(user.id, context)
            if not self._factors.confirm(user.id, digits_of(code)):
                raise SecondFactorInvalid
            codes = self._codes.replace_all(user.id)
            proven = (ONE_TIME_PASSWORD, MULTI_FACTOR)
            ended = self._changes.apply(user, EventType.FACTOR_ADDED, context, scope=scope, factor=TOTP, proven=proven)
            audit.record(EventType.RECOVERY_CODES_CREATED, context=context, subject_id=user.id)
        self._changes.send_sessions_ended(user_id, ended, context)
        return codes

    def remove(self, user_id: UUID, context: RequestContext, *, scope: LogoutScope | None) -> None:
        """Remove the app, and the recovery codes with the last factor that they replace.

        Raises ``ResourceNotFound`` if there is no app.
        """
        with transaction():
            user = lock_own(user_id, context)
            if not self._factors.remove(user.id):
                raise ResourceNotFound
            ended = self._changes.apply(user, EventType.FACTOR_REMOVED, context, scope=scope, factor=TOTP)
        self._changes.send_sessions_ended(user_id, ended, context)


def digits_of(code: str) -> str:
    """Return a code without the blanks that people type in it, as apps show them."""
    return "".join(code.split())
