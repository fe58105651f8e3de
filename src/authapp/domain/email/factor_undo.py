"""Removing factors that somebody else has added, with the link in the mail about it."""

from authapp import clock
from authapp.context import RequestContext
from authapp.database.session import transaction
from authapp.domain.email.address_proofs import use_token, void_credentials
from authapp.domain.factors.factor_resets import FactorResets
from authapp.domain.hooks import Hooks
from authapp.domain.mail.ages import NOTICE_MAX_AGE
from authapp.domain.one_time_tokens import FoundToken, OneTimeTokens
from authapp.domain.token_purposes import TokenPurpose, token_purposes

UNDO_WINDOW = token_purposes[TokenPurpose.UNDO_FACTORS].lifetime + NOTICE_MAX_AGE
"""How long ago what goes may have been added: as long as a link lives whose mail was sent as late as mails are."""


class FactorUndo:
    """The use case of undoing the factors that were added lately: they may keep the owner of the account out."""

    purpose = TokenPurpose.UNDO_FACTORS

    def __init__(self, tokens: OneTimeTokens, resets: FactorResets, hooks: Hooks) -> None:
        self._tokens = tokens
        self._resets = resets
        self._hooks = hooks

    def confirm(self, found: FoundToken, _password: str | None, context: RequestContext) -> None:
        """Remove the factors that were added while links like this one are good, and end every session.

        The token is enough, and removes them all: a thief who adds several must not outrun the owner. Other credentials
        that were added since go, too, such as API keys. What is older stays.

        Raises ``OneTimeTokenInvalid``, also while the account is disabled or has another address than the token's.
        """
        with transaction():
            user = use_token(self._tokens, found)
            since = clock.now() - UNDO_WINDOW
            ended = self._resets.remove(user, context, since=since)
            # ``FactorResets`` receives it as well, and finds nothing left.
            void_credentials(user, self._hooks, context, since=since)
        self._resets.send_sessions_ended(user.id, ended, context)
