"""The result of an authentication by any method. ``Sessions.start`` needs it to start a session."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from uuid import UUID

from authapp.domain.throttle_scopes import ThrottleScope

PASSWORD = "pwd"  # noqa: S105 - the name of a method (RFC 8176), not a secret
ONE_TIME_PASSWORD = "otp"  # noqa: S105 - a name of RFC 8176
RECOVERY = "recovery_code"
"""The method of a recovery code. RFC 8176 has no name for it."""


def merged_methods(*methods: Iterable[str]) -> list[str]:
    """Return the methods (``amr``) of several proofs, each once, in the order in which they were proven."""
    return list(dict.fromkeys(chain(*methods)))


@dataclass(frozen=True)
class AuthenticationResult:
    """A user was authenticated: by which methods (``amr``, RFC 8176) and when (``auth_time``).

    ``account_version`` is ``users.updated_at`` as it was read for the authentication. A change of the account's
    password, names, roles or status also changes it, and then no session starts. A method with one-time codes uses the
    code up before it returns this. The failed attempts that are counted in ``throttle_scope`` are reset when the
    session starts; ``None`` resets none. Without ``starts_session``, a single request is authenticated. ``factor`` is
    the kind of factor that was proven, by its name. A kind that has a second step needs it, or a login by it
    would be asked for the same factor again.
    """

    user_id: UUID
    amr: tuple[str, ...]
    auth_time: datetime
    account_version: datetime
    throttle_scope: ThrottleScope | None = None
    starts_session: bool = True
    factor: str | None = None

    def __post_init__(self) -> None:
        """Raise ``ValueError`` without a method, or for a time without a time zone."""
        if not self.amr or not all(self.amr):
            raise ValueError("Name at least one method (amr): a token without one is refused.")
        if self.auth_time.tzinfo is None:
            raise ValueError("Give auth_time a time zone: it would be read as the server's local time.")
