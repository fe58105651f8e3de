"""What a list of breached passwords is asked, wherever it is."""

import re
from hashlib import sha1
from typing import Protocol

PREFIX_LENGTH = 5
"""How many hexadecimal digits of a hash leave this machine: hundreds of passwords share them (k-anonymity)."""

SHA1_LENGTH = 40
LINE = re.compile(rb"([0-9A-Fa-f]+)(?::([0-9]+))?")
"""A hash or its end, and how often the password was found. Zero marks a line that only pads the answer."""


class BreachSourceError(Exception):
    """The list cannot be asked; the message is a sentence that says why, and holds nothing of a password."""


class BreachSource(Protocol):
    """A list of the SHA-1 hashes of breached passwords."""

    def has_digest(self, digest: bytes) -> bool:
        """Return whether the list has this hash: 40 hexadecimal digits in capitals. Raises ``BreachSourceError``."""

    def check(self) -> None:
        """Raise ``BreachSourceError`` for what a question would not notice."""


def sha1_hex(password: str) -> bytes:
    """Return the SHA-1 hash of a password as the lists have it; it protects nothing here, it only finds."""
    digest = sha1(password.encode("utf-8", "surrogatepass"), usedforsecurity=False)
    return digest.hexdigest().upper().encode()
