"""Base64url without padding (RFC 7515, section 2), in canonical form only."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

_ALPHABET = re.compile(r"[A-Za-z0-9_-]+")


def encode(data: bytes) -> str:
    """Return ``data`` as base64url, without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """Return the bytes that ``text`` encodes.

    Raises ``ValueError`` for padding, for characters outside the alphabet, and for unused bits that are not zero.
    Otherwise one token could be written in several ways, and a blocklist of token strings could be bypassed.
    """
    if not _ALPHABET.fullmatch(text):
        raise ValueError("not base64url")
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encode(data) != text:
        raise ValueError("not canonical base64url")
    return data
