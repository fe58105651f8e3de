"""Which use case confirms a token that proves an address: one for each purpose."""

from collections.abc import Callable, Mapping

from authapp.context import RequestContext
from authapp.domain.one_time_tokens import OneTimeTokens
from authapp.errors import OneTimeTokenInvalid

Confirm = Callable[[str, str | None, RequestContext], None]
"""Uses a token, given with the password that was sent beside it, if one was. Raises a refusal."""


class EmailConfirmations:
    """The use cases by the purpose of their tokens. A link leads to one route, whatever it proves."""

    def __init__(self, tokens: OneTimeTokens, handlers: Mapping[str, Confirm]) -> None:
        self._tokens = tokens
        self._handlers = handlers

    def confirm(self, token: str, password: str | None, context: RequestContext) -> None:
        """Confirm a token for whichever of the purposes it was issued.

        Raises ``OneTimeTokenInvalid``, also for a token of any other purpose, and what the use case raises.
        """
        found = self._tokens.find(token, *self._handlers)
        if found is None:
            raise OneTimeTokenInvalid
        self._handlers[found.purpose](token, password, context)


def without_password(confirm: Callable[[str, RequestContext], None]) -> Confirm:
    """Return the handler of a purpose for which the token is enough."""
    return lambda token, _password, context: confirm(token, context)
