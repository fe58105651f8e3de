"""Computing password hashes in the bulkhead, without counting the time against the database deadline."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from authapp.context import RequestContext
from authapp.database import deadline
from authapp.security.bulkhead import Bulkhead
from authapp.security.passwords import Passwords

T = TypeVar("T")


class PasswordHasher:
    """Hashes and verifies passwords in the bulkhead. Callers must not hold a database connection meanwhile."""

    def __init__(self, passwords: Passwords, bulkhead: Bulkhead) -> None:
        self._passwords = passwords
        self._bulkhead = bulkhead

    @contextmanager
    def turn(self, context: RequestContext) -> Iterator[None]:
        """Wait until it is this request's turn to compute hashes, and keep the turn within the block.

        Raises ``ServiceUnavailable`` if it would wait too long, or if its client has hung up.
        """
        with deadline.paused():
            self._bulkhead.enter(context.client_gone)
        try:
            yield
        finally:
            self._bulkhead.leave()

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
