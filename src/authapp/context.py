"""The context of a request: its principal and its client, for use cases, sessions and the audit trail."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

USER_AGENT_MAX_LENGTH = 256

MULTI_FACTOR = "mfa"
"""What ``amr`` contains if methods of more than one factor were used (RFC 8176); also an ``acr``."""

SINGLE_FACTOR = "sfa"
"""The ``acr`` of every other authentication."""


def acr_of(amr: Sequence[str]) -> str:
    """Return the authentication context class (``acr``, RFC 9470) of an authentication by the methods ``amr``."""
    return MULTI_FACTOR if MULTI_FACTOR in amr else SINGLE_FACTOR


@dataclass(frozen=True, slots=True)
class Principal:
    """The user behind an accepted credential.

    ``permissions`` are what the credential allows. A token allows what the user's roles allow; a limited credential,
    such as an API key, may allow less. ``amr`` (RFC 8176) names how the user was authenticated, and ``auth_time`` when.
    ``fresh`` is true for the access token of a login only. A credential without a session has no ``session_id``;
    if it does not prove the user at this moment, as an API key does not, ``auth_time`` is ``None`` and ``amr`` empty.
    ``api_key_id`` names the key, also for a token that was issued for one. A limited key has no ``roles``, because
    other services may allow a role more than the key does. ``kind`` is ``service`` for an account without ``email``.
    ``pending_email`` is an address that the user asked for and has not confirmed; it counts until
    ``pending_email_until``.
    """

    id: UUID
    session_id: UUID | None
    username: str
    email: str | None
    email_verified_at: datetime | None
    status: str
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None
    roles: list[str]
    permissions: frozenset[str]
    amr: list[str]
    auth_time: datetime | None
    fresh: bool
    pending_email: str | None = None
    pending_email_until: datetime | None = None
    kind: str = "person"
    api_key_id: UUID | None = None

    @property
    def acr(self) -> str:
        """The authentication context class: ``mfa`` or ``sfa``."""
        return acr_of(self.amr)

    def may(self, permission: str) -> bool:
        """Tell whether this credential allows what needs ``permission``."""
        return permission in self.permissions


class Operator:
    """The principal of commands: somebody with access to the database itself, who may do everything."""


@dataclass(frozen=True)
class RequestContext:
    """Where a request comes from, and who makes it: a ``Principal``, an ``Operator``, or nobody known (a guest).

    ``ip_address`` is ``None`` if a proxy named none. ``client_gone`` tells whether the client has hung up, for work
    that waits for its turn. ``locale`` is the language for mails, a tag of RFC 5646 such as ``pt-BR``. Nothing else has
    a default: a view that forgot the principal would act as somebody else.
    """

    ip_address: str | None
    user_agent: str | None
    request_id: str | None
    principal: Principal | Operator | None
    client_gone: Callable[[], bool] = field(default=lambda: False, repr=False, compare=False)
    locale: str | None = None

    @property
    def actor_id(self) -> UUID | None:
        """The user who acts; nothing for guests and operators."""
        return self.principal.id if isinstance(self.principal, Principal) else None

    @property
    def session_id(self) -> UUID | None:
        """The session in which the user acts, if there is one."""
        return self.principal.session_id if isinstance(self.principal, Principal) else None

    @property
    def truncated_user_agent(self) -> str | None:
        """The ``User-Agent``, cut to ``USER_AGENT_MAX_LENGTH`` characters."""
        return (self.user_agent or "")[:USER_AGENT_MAX_LENGTH] or None


OPERATOR = RequestContext(ip_address=None, user_agent="flask CLI", request_id=None, principal=Operator())
"""The command line. A client may call itself the same; it has a request id, and the command line has none."""
