"""Removing factors that somebody else has added, with the link in the mail about it."""

from typing import Any

from authapp import clock
from authapp.context import RequestContext
from authapp.database.session import transaction
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.email.address_proofs import use_token, void_credentials
from authapp.domain.hooks import Hooks
from authapp.domain.mail.ages import NOTICE_MAX_AGE
from authapp.domain.one_time_tokens import FoundToken
from authapp.domain.sessions import revocation
from authapp.domain.token_purposes import TokenPurpose, token_purposes
from authapp.models import EndReason

UNDO_WINDOW = token_purposes[TokenPurpose.UNDO_FACTORS].lifetime + NOTICE_MAX_AGE
"""What was added within this time is removed: how long a link is good, and how late its mail may be sent."""


class FactorUndo:
    """The use case of undoing the factors that were added lately: they may keep the owner of the account out."""

    purpose = TokenPurpose.UNDO_FACTORS

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks

    def confirm(self, found: FoundToken, _password: str | None, context: RequestContext) -> None:
        """Remove what was added while links like this one are good, and end every session.

        The token is enough, and removes all of it: a thief who adds several factors must not outrun the owner. The
        receivers of ``credentials_voiding`` remove it, those of other credentials such as API keys, too. What is older
        stays.

        Raises ``OneTimeTokenInvalid``, also while the account is disabled or has another address than the token's.
        """
        with transaction():
            user, now = use_token(found), clock.now()
            ended = revocation.end_all(user.id, EndReason.FACTORS_CHANGED, now)
            details: dict[str, Any] = {"reason": EndReason.FACTORS_CHANGED, "sessions": ended}
            audit.record(EventType.SESSION_ENDED, context=context, subject_id=user.id, **details)
            void_credentials(user, self._hooks, context, since=now - UNDO_WINDOW)
        if ended:
            self._hooks.send_session_ended(user.id, EndReason.FACTORS_CHANGED, context=context)
