"""Codes that are typed in place of a link in a mail, by the client that requested the mail with a challenge."""

from hashlib import sha256
from secrets import randbelow

DIGITS = 8


def new_code() -> str:
    """Return a new code of ``DIGITS`` digits."""
    return f"{randbelow(10**DIGITS):0{DIGITS}}"


def code_hash(challenge_hash: bytes, code: str) -> bytes:
    """Return what is stored of a code.

    A code has too little entropy for a hash to hide it. Whoever reads the table does not know the challenge, though,
    and cannot use a code without it.
    """
    return sha256(challenge_hash + code.encode()).digest()
