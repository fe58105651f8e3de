"""Computing password hashes in the bulkhead, without counting the time against the database deadline."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

from authapp.database import deadline
from authapp.security.bulkhead import Bulkhead
from authapp.security.passwords import Passwords

T = TypeVar("T")


class PasswordHasher:
    """Hashes and verifies passwords in the bulkhead. Callers must not hold a database connection meanwhile."""

    def __init__(self, passwords: Passwords, bulkhead: Bulkhead) -> None:
        self._passwords = passwords
        self._bulkhead = bulkhead

    def admitted(self) -> AbstractContextManager[None]:
        """Admit one hash to the bulkhead. Raises ``ServiceUnavailable`` if too many are already waiting."""
        return self._bulkhead.admit()

    def hash(self, password: str) -> str:
        """Return the hash of a new password. Raises ``ServiceUnavailable`` if too many hashes are being computed."""
        with self.admitted():
            return self._compute(self._passwords.hash, password)

    def verify(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Return whether ``password`` matches, and a new hash if ``stored`` is outdated. Use in ``admitted``."""
        return self._compute(self._passwords.verify, password, stored)

    def _compute(self, work: Callable[..., T], *arguments: object) -> T:
        with deadline.paused():
            return self._bulkhead.run(work, *arguments)
