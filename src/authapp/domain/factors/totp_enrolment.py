"""Adding an authenticator app to an account, and removing it."""

from uuid import UUID

from authapp.context import MULTI_FACTOR, RequestContext
from authapp.domain.factors import totp
from authapp.domain.factors.factor_changes import FactorChanges
from authapp.domain.factors.kinds import TOTP
from authapp.domain.factors.totp_factors import TotpFactors, TotpSecret
from authapp.domain.sessions.authentication import ONE_TIME_PASSWORD
from authapp.domain.sessions.sessions import LogoutScope
from authapp.errors import ResourceNotFound, SecondFactorInvalid


class TotpEnrolment:
    """The use cases of the authenticator app of the user's own account.

    Each raises what ``FactorChanges.by_owner`` raises.
    """

    def __init__(self, factors: TotpFactors, changes: FactorChanges) -> None:
        self._factors = factors
        self._changes = changes

    def begin(self, user_id: UUID, context: RequestContext) -> TotpSecret:
        """Return the secret for an app. It counts once ``confirm`` gets a code, and replaces one that waits for that.

        Raises ``FactorExists``.
        """
        with self._changes.by_owner(user_id, context) as change:
            secret = self._factors.begin(user_id)
        # After the commit: others that change the account do not wait for a QR code.
        return self._factors.shown(secret, change.user.username)

    def confirm(self, user_id: UUID, code: str, context: RequestContext, *, scope: LogoutScope | None) -> list[str]:
        """Add the app whose ``code`` this is, and return new recovery codes. Those from before are void.

        The code also counts as a second factor of the session of ``context``. The sessions that ``scope`` selects end.

        Raises ``SecondFactorInvalid`` if the code is wrong, or no secret has been given out for ten minutes.
        """
        with self._changes.by_owner(user_id, context) as change:
            if not self._factors.confirm(user_id, totp.without_blanks(code)):
                raise SecondFactorInvalid
            codes = change.record_added(TOTP, context, scope=scope, proven=(ONE_TIME_PASSWORD, MULTI_FACTOR))
            return codes or change.renew_recovery_codes(context)

    def remove(self, user_id: UUID, context: RequestContext, *, scope: LogoutScope | None) -> None:
        """Remove the app, and the recovery codes with the last factor that they replace.

        Raises ``ResourceNotFound`` if there is no app.
        """
        with self._changes.by_owner(user_id, context) as change:
            if not self._factors.remove(user_id):
                raise ResourceNotFound
            change.record_removed(TOTP, context, scope=scope)
