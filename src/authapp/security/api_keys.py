"""The format of API keys: ``ak_``, the ids of the owner and the key, 256 random bits, and a checksum, all in base62.

The ids lead to one row by its primary key. The checksum lets scanners tell a key from other text, and lets a key that
was not copied whole be refused without asking the database. It is no secret, and proves nothing.
"""

import re
import secrets
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from uuid import UUID
from zlib import crc32

TAG = "ak_"
"""What every key begins with. No JWT does."""

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

_ID, _SECRET, _CHECKSUM = 22, 43, 6  # the digits that 128, 256 and 32 bits take
PREFIX_LENGTH = len(TAG) + 2 * _ID
LENGTH = PREFIX_LENGTH + _SECRET + _CHECKSUM
PATTERN = rf"{TAG}[0-9A-Za-z]{{{LENGTH - len(TAG)}}}"
"""The regular expression for scanners of secrets. What it finds is a key if its last 6 characters are its checksum."""

_FORM = re.compile(PATTERN)
_PREFIX_FORM = re.compile(rf"{TAG}[0-9A-Za-z]{{{2 * _ID}}}")
_VALUES = {digit: value for value, digit in enumerate(DIGITS)}


@dataclass(frozen=True, slots=True)
class KeyIds:
    """The ids in a key: of its owner, and of the key."""

    user_id: UUID
    key_id: UUID


def generate(user_id: UUID, key_id: UUID) -> str:
    """Return a new key. It is shown once, and only its hash is stored."""
    body = f"{prefix_of(user_id, key_id)}{_encode(secrets.randbits(256), _SECRET)}"
    return f"{body}{checksum(body)}"


def prefix_of(user_id: UUID, key_id: UUID) -> str:
    """Return the part of a key that is no secret: it names the key in lists, and as ``client_id`` of OAuth."""
    return f"{TAG}{_encode(user_id.int, _ID)}{_encode(key_id.int, _ID)}"


def ids_of_prefix(prefix: str) -> KeyIds:
    """Return the ids in a key's prefix. Raises ``ValueError`` if it is none."""
    if not _PREFIX_FORM.fullmatch(prefix):
        raise ValueError("not a prefix")
    start = len(TAG)
    return KeyIds(_decode_id(prefix[start : start + _ID]), _decode_id(prefix[start + _ID :]))


def is_prefix(text: str) -> bool:
    """Tell whether ``text`` has the form of a key's prefix, which no username or email address has."""
    # Usernames are shorter.
    return len(text) == PREFIX_LENGTH and text.startswith(TAG) and "@" not in text


def checksum(body: str) -> str:
    """Return the CRC-32 of a key without its checksum, as 6 digits of base62."""
    return _encode(crc32(body.encode("ascii")), _CHECKSUM)


def is_well_formed(key: str) -> bool:
    """Tell whether ``key`` is of the form of a key, and its checksum right."""
    return _FORM.fullmatch(key) is not None and checksum(key[:-_CHECKSUM]) == key[-_CHECKSUM:]


def parse(key: str) -> KeyIds:
    """Return the ids in ``key``. Raises ``ValueError`` if it is not well formed."""
    if not is_well_formed(key):
        raise ValueError("not a key")
    return ids_of_prefix(key[:PREFIX_LENGTH])


def hash_of(key: str) -> bytes:
    """Return what is stored of a key. With 256 random bits, nobody can try them all, so one SHA-256 will do."""
    return sha256(key.encode("ascii")).digest()


def matches(key: str, stored: bytes) -> bool:
    """Tell whether ``stored`` is the hash of ``key``, in a time that does not depend on either."""
    return compare_digest(hash_of(key), stored)


def _encode(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, value = divmod(number, len(DIGITS))
        digits.append(DIGITS[value])
    return "".join(reversed(digits))


def _decode_id(text: str) -> UUID:
    number = 0
    for digit in text:
        number = number * len(DIGITS) + _VALUES[digit]
    # 22 digits hold a little more than 128 bits: UUID raises ValueError for the rest.
    return UUID(int=number)
