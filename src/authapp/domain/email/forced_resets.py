"""An administrator voids the password of an account, and its owner chooses another with the link in a mail."""

from authapp.context import RequestContext
from authapp.database.session import transaction
from authapp.domain.hooks import Hooks
from authapp.domain.throttles import Throttles
from authapp.domain.users.new_password import send_sessions_ended, void_password
from authapp.domain.users.rows import UserRef, lock_managed, require_person


class ForcedResets:
    """The use case of forcing a reset. Administrators do not choose passwords of others (ASVS 5.0, 6.4.6)."""

    def __init__(self, throttles: Throttles, hooks: Hooks) -> None:
        self._throttles = throttles
        self._hooks = hooks

    def force(self, ref: UserRef, context: RequestContext) -> None:
        """Void the password of an account, end its sessions, and forget its failed logins.

        ``Notices`` stores the mail with a link to choose another password; a disabled account gets none.

        Raises ``ResourceNotFound``, ``ServiceAccount``, or the refusals of ``GrantPolicy``.
        """
        with transaction():
            user = lock_managed(ref, context)
            require_person(user)
            ended = void_password(user, context)
            self._throttles.reset_failures_of_first_factors(user.id)
            self._hooks.send_user_changing(user, {"password"}, context=context)
        send_sessions_ended(user.id, ended, self._hooks, context)
