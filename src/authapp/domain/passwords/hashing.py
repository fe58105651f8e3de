"""Computing password hashes in the bulkhead, and what that time means for the deadline of the database."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from authapp.context import RequestContext
from authapp.database import deadline
from authapp.security.bulkhead import Bulkhead
from authapp.security.passwords import Passwords

T = TypeVar("T")

SECONDS_AFTER_WAIT = 1.0
"""How long a request that has waited for its turn may still wait for the database, if it had that much time before."""


class PasswordHasher:
    """Hashes and verifies passwords in the bulkhead. Callers must not hold a database connection meanwhile."""

    def __init__(self, passwords: Passwords, bulkhead: Bulkhead) -> None:
        self._passwords = passwords
        self._bulkhead = bulkhead

    @contextmanager
    def turn(self, context: RequestContext) -> Iterator[None]:
        """Wait until it is this request's turn to compute hashes, and keep the turn within the block.

        The wait counts against the deadline of the database, but leaves ``SECONDS_AFTER_WAIT``. So if the database
        fails meanwhile, the request is answered soon after its wait, and not a whole timeout later.

        Raises ``ServiceUnavailable`` if it would wait too long, or if its client has hung up.
        """
        with ExitStack() as stack:
            with deadline.counted(leaving_at_least=SECONDS_AFTER_WAIT):
                stack.enter_context(self._bulkhead.turn(context.client_gone))
            yield

    def hash(self, password: str, context: RequestContext) -> str:
        """Return the hash of a new password. Raises ``ServiceUnavailable``, as ``turn`` does."""
        with self.turn(context):
            return self._compute(self._passwords.hash, password)

    def verify(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Return whether ``password`` matches, and a new hash if ``stored`` is outdated. Use in ``turn``."""
        return self._compute(self._passwords.verify, password, stored)

    def _compute(self, work: Callable[..., T], *arguments: object) -> T:
        with deadline.paused():
            return self._bulkhead.run(work, *arguments)
