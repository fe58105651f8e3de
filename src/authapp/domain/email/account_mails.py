"""What mail has to do with accounts: mails that belong to their changes, and no login before an address is verified.

The other wings know nothing of mail: receivers of their hooks do this, in the transaction of the change.
"""

from uuid import UUID

from sqlalchemy import bindparam, select

from authapp.context import RequestContext
from authapp.database.session import db, read_one
from authapp.domain import hooks
from authapp.domain.email.kinds import PASSWORD_CHANGED, VERIFY_EMAIL
from authapp.domain.email.outbox import Outbox
from authapp.domain.email.requests import MailRequests
from authapp.domain.hooks import Hooks
from authapp.domain.one_time_tokens import HARMLESS_CHANGES
from authapp.domain.sessions.authentication import AuthenticationResult
from authapp.errors import EmailNotVerified
from authapp.models import User

_VERIFIED_AT = select(User.email_verified_at).where(User.id == bindparam("user_id"))


class AccountMails:
    """The receivers of one application. They are connected for as long as this object lives."""

    def __init__(self, outbox: Outbox, requests: MailRequests, *, verification: str) -> None:
        """Take ``AUTHAPP_EMAIL_VERIFICATION``: ``off``, ``optional`` or ``required``."""
        self._outbox = outbox
        self._requests = requests
        self._verification = verification

    def connect(self, app: object, app_hooks: Hooks) -> None:
        """Connect the receivers to ``app``."""
        hooks.user_changing.connect(self._withdraw_pending_address, sender=app)
        hooks.user_changing.connect(self._report_password, sender=app)
        if self._verification != "off":
            hooks.user_creating.connect(self._send_link, sender=app)
        if self._verification == "required":
            hooks.before_session_start.connect(self._require_verified, sender=app)
            app_hooks.may_refuse(hooks.before_session_start, EmailNotVerified)

    def _send_link(self, _app: object, *, user_id: UUID, context: RequestContext, **_: object) -> None:
        if self._verification == "required" and context.principal is None:
            return  # a guest's registration stores it itself, whether or not the address was free
        # Counted: accounts that are registered and deleted again must not flood an address.
        self._requests.store(VERIFY_EMAIL, db.session.get_one(User, user_id).email, context)

    def _report_password(
        self, _app: object, *, user_id: UUID, fields: set[str], context: RequestContext, **_: object
    ) -> None:
        if "password" in fields:
            self._outbox.add(PASSWORD_CHANGED, user_id=user_id, address=None, context=context)

    def _withdraw_pending_address(self, _app: object, *, user_id: UUID, fields: set[str], **_: object) -> None:
        # Voiding the tokens is not enough: a mail that is still to be sent would get a new one.
        if fields - HARMLESS_CHANGES:
            user = db.session.get_one(User, user_id)
            user.pending_email = user.pending_email_until = None

    def _require_verified(self, _app: object, *, result: AuthenticationResult, **_: object) -> None:
        row = read_one(_VERIFIED_AT, {"user_id": result.user_id})
        # Without a row the account has just been deleted, and no session starts.
        if row is not None and row.email_verified_at is None:
            raise EmailNotVerified
