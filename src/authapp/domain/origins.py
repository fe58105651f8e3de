"""Where a request comes from, and who makes it: what the sessions and the audit trail keep of it."""

from dataclasses import dataclass
from uuid import UUID

from authapp.domain.callers import Caller
from authapp.models.session import USER_AGENT_MAX_LENGTH


@dataclass(frozen=True)
class Origin:
    """Where a request comes from, and who makes it: a ``caller``, an ``operator`` on the command line, or a guest."""

    ip_address: str | None = None
    user_agent: str | None = None
    request_id: str | None = None
    caller: Caller | None = None
    operator: bool = False

    @property
    def actor_id(self) -> UUID | None:
        """Who acts."""
        return self.caller.id if self.caller else None

    @property
    def session_id(self) -> UUID | None:
        """The session in which they act."""
        return self.caller.session_id if self.caller else None

    @property
    def agent(self) -> str | None:
        """What the client says it is, cut to a bearable length."""
        return (self.user_agent or "")[:USER_AGENT_MAX_LENGTH] or None


COMMAND_LINE = Origin(user_agent="flask CLI", operator=True)
"""An operator with access to the database itself, who may do everything.

A client may call itself the same; it has an address, and the command line has none.
"""
