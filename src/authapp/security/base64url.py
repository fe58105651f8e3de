"""Base64url without padding (RFC 7515, section 2), in its one canonical form."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

_ALPHABET = re.compile(r"[A-Za-z0-9_-]+")


def encode(data: bytes) -> str:
    """Return the encoding of ``data``, without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """Return the bytes of ``text``.

    Raises ``ValueError`` for padding, foreign characters, and unused bits that are not zero: with those, one token
    would have many spellings, and a list of revoked spellings would miss all but one.
    """
    if not _ALPHABET.fullmatch(text):
        raise ValueError("not base64url")
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encode(data) != text:
        raise ValueError("not canonical base64url")
    return data
