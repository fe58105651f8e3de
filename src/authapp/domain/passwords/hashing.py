"""Computing password hashes: bounded, on threads of their own, and not on the database's time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from authapp.database import deadline
from authapp.security.bulkhead import Bulkhead
from authapp.security.passwords import Passwords

T = TypeVar("T")


class PasswordHasher:
    """Hashes and verifies passwords in the bulkhead. No connection may be held meanwhile."""

    def __init__(self, passwords: Passwords, bulkhead: Bulkhead) -> None:
        self._passwords = passwords
        self._bulkhead = bulkhead

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Hold a place before the hashes. Raises ``ServiceUnavailable`` when too many wait already."""
        with self._bulkhead.admit():
            yield

    def hash(self, password: str) -> str:
        """Return the hash of a new password. Raises ``ServiceUnavailable`` when too many are being computed."""
        with self.admitted():
            return self._compute(self._passwords.hash, password)

    def verify(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Tell whether ``password`` matches, and return a new hash when ``stored`` is outdated; only while admitted."""
        return self._compute(self._passwords.verify, password, stored)

    def _compute(self, work: Callable[..., T], *arguments: object) -> T:
        with deadline.paused():
            return self._bulkhead.run(work, *arguments)
