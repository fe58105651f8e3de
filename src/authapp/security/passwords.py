"""Password hashing: argon2id at OWASP's figure, and the formats that users bring from elsewhere."""

import re
from collections.abc import Sequence

from argon2 import Parameters, PasswordHasher, Type, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from nacl.exceptions import CryptoError, InvalidkeyError
from nacl.pwhash import argon2id
from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers import HasherProtocol
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher
from werkzeug.security import check_password_hash

BCRYPT_READS_BYTES = 72


class FloorArgon2Hasher(Argon2Hasher):
    """Argon2id that replaces a weaker hash, and leaves a stronger one alone.

    It is computed by libsodium, which takes the processor's vector instructions where there are any: a sixth faster.
    """

    def __init__(self, *, memory_kib: int, time_cost: int) -> None:
        super().__init__(memory_cost=memory_kib, time_cost=time_cost, parallelism=1)
        self._floor = (memory_kib, time_cost)

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        if salt is not None:
            return super().hash(password, salt=salt)
        memory_kib, time_cost = self._floor
        return argon2id.str(_bytes(password), opslimit=time_cost, memlimit=memory_kib * 1024).decode("ascii")

    def verify(self, password: str | bytes, hash: str | bytes) -> bool:  # noqa: A002 - the protocol's name
        try:
            if _is_sodiums(extract_parameters(_text(hash))):
                return argon2id.verify(_bytes(hash), _bytes(password))
            return PasswordHasher().verify(hash, password)
        except (VerifyMismatchError, InvalidkeyError):
            return False
        except (VerificationError, InvalidHashError, CryptoError):
            raise ValueError("the stored hash is damaged") from None

    def check_needs_rehash(self, hash: str | bytes) -> bool:  # noqa: A002
        stored = extract_parameters(_text(hash))
        memory_kib, time_cost = self._floor
        return stored.type is not Type.ID or stored.memory_cost < memory_kib or stored.time_cost < time_cost


def _is_sodiums(stored: Parameters) -> bool:
    """Tell whether a hash is of the kind that libsodium makes; argon2's own library knows all kinds."""
    kind = (stored.type, stored.version, stored.parallelism, stored.salt_len, stored.hash_len)
    return kind == (Type.ID, 19, 1, 16, 32)


class WerkzeugHasher(HasherProtocol):
    """Werkzeug's ``scrypt:`` and ``pbkdf2:`` hashes, to verify and to replace, never to make."""

    _FORMAT = re.compile(r"(scrypt|pbkdf2)(:[A-Za-z0-9]+)*\$[^$]+\$[0-9a-f]+")

    @classmethod
    def identify(cls, hash: str | bytes) -> bool:  # noqa: A002
        return cls._FORMAT.fullmatch(_text(hash)) is not None

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        raise TypeError("new passwords are hashed with argon2id")

    def verify(self, password: str | bytes, hash: str | bytes) -> bool:  # noqa: A002
        return check_password_hash(_text(hash), _text(password))

    def check_needs_rehash(self, hash: str | bytes) -> bool:  # noqa: A002
        return True


class FullLengthBcryptHasher(BcryptHasher):
    """Bcrypt that does not cut: it reads 72 bytes, so a longer password cannot be the one that was hashed.

    Accepting it would let every password in that shares the first 72 bytes.
    """

    def verify(self, password: str | bytes, hash: str | bytes) -> bool:  # noqa: A002
        encoded = _text(password).encode()
        # bcrypt ends a password at a NUL, and its C code cuts there too.
        if len(encoded) > BCRYPT_READS_BYTES or b"\0" in encoded:
            # Not an answer, for it would come at once, and tell whose hash this is: the caller hashes all the same.
            raise ValueError("bcrypt cannot have hashed this password")
        return super().verify(encoded, hash)

    def check_needs_rehash(self, hash: str | bytes) -> bool:  # noqa: A002
        return True


class Passwords:
    """Hashes and verifies passwords at one configured cost."""

    def __init__(self, *, memory_kib: int, time_cost: int) -> None:
        """Take the cost of a hash: ``memory_kib`` in KiB, and ``time_cost`` in passes; the parallelism is 1."""
        hashers: Sequence[HasherProtocol] = (
            FloorArgon2Hasher(memory_kib=memory_kib, time_cost=time_cost),
            FullLengthBcryptHasher(),
            WerkzeugHasher(),
        )
        self._hash = PasswordHash(hashers)
        self._decoy = self.hash("a password that opens nothing")

    def hash(self, password: str) -> str:
        """Return the argon2id hash of ``password`` in PHC string format, with a salt of its own."""
        return self._hash.hash(password)

    def verify(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Tell whether ``password`` is the one behind ``stored``, and return a new hash when that one is outdated.

        With no stored hash a decoy is verified all the same: the answer for a missing account must not come sooner
        than the one for a wrong password, or the time tells which accounts exist (ASVS 5.0, 6.3.8).
        """
        try:
            correct, new_hash = self._hash.verify_and_update(password, self._decoy if stored is None else stored)
        except (UnknownHashError, ValueError, TypeError, OverflowError):
            # No hasher can answer: the stored hash is damaged, or from a system that we do not know.
            return self.verify(password, None)
        return (False, None) if stored is None else (correct, new_hash)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _bytes(value: str | bytes) -> bytes:
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
