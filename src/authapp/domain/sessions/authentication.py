"""The result of an authentication by any method. ``Sessions.start`` needs it to start a session."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

PASSWORD = "pwd"  # noqa: S105 - the name of a method (RFC 8176), not a secret


def _nothing_to_confirm(_user: Any) -> bool:
    return True


@dataclass(frozen=True)
class AuthenticationResult:
    """A user was authenticated: by which methods (``amr``, RFC 8176) and when (``auth_time``).

    ``confirm`` is called in the transaction that starts the session, with the user's locked row (``id`` and
    ``password_hash``). It returns whether the authentication is still valid, and consumes one-time codes. This is where
    each method does its final check: the password may have been changed meanwhile, or a code may have been used.
    """

    user_id: UUID
    amr: tuple[str, ...]
    auth_time: datetime
    confirm: Callable[[Any], bool] = _nothing_to_confirm

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for what no token can say."""
        if not self.amr or not all(self.amr):
            raise ValueError("Name at least one method (amr): a token without one is refused.")
        if self.auth_time.tzinfo is None:
            raise ValueError("Give auth_time a time zone: it would be read as the server's local time.")
