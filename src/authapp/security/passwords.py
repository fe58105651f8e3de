"""Password hashing with argon2id at OWASP's parameters, and verification of hashes imported from other systems."""

import time
from collections.abc import Sequence

from argon2 import Parameters, PasswordHasher, Type, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from nacl.exceptions import CryptoError, InvalidkeyError
from nacl.pwhash import argon2id
from pwdlib import PasswordHash
from pwdlib.hashers import HasherProtocol
from pwdlib.hashers.argon2 import Argon2Hasher

from authapp.security.foreign_hashes import IMPORTED_PREFIX, verifier


class FloorArgon2Hasher(Argon2Hasher):
    """Argon2id with minimum costs: a weaker stored hash is replaced, a stronger one is kept.

    libsodium computes the hash, because it uses the processor's vector instructions where available: a sixth faster.
    """

    def __init__(self, *, memory_kib: int, time_cost: int) -> None:
        super().__init__(memory_cost=memory_kib, time_cost=time_cost, parallelism=1)
        self._floor = (memory_kib, time_cost)

    @classmethod
    def identify(cls, hash: str | bytes) -> bool:
        return _is_argon2id(hash)

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        if salt is not None:
            return super().hash(password, salt=salt)
        memory_kib, time_cost = self._floor
        return argon2id.str(_bytes(password), opslimit=time_cost, memlimit=memory_kib * 1024).decode("ascii")

    def verify(self, password: str | bytes, hash: str | bytes) -> bool:
        try:
            if _is_sodiums(extract_parameters(_text(hash))):
                return argon2id.verify(_bytes(hash), _bytes(password))
            return PasswordHasher().verify(hash, password)
        except (VerifyMismatchError, InvalidkeyError):
            return False
        except (VerificationError, InvalidHashError, CryptoError):
            raise ValueError("the stored hash is damaged") from None

    def check_needs_rehash(self, hash: str | bytes) -> bool:
        stored = extract_parameters(_text(hash))
        memory_kib, time_cost = self._floor
        return stored.memory_cost < memory_kib or stored.time_cost < time_cost


def _is_sodiums(stored: Parameters) -> bool:
    """Return whether libsodium can verify a hash with these parameters. argon2's own library verifies all others."""
    kind = (stored.type, stored.version, stored.parallelism, stored.salt_len, stored.hash_len)
    return kind == (Type.ID, 19, 1, 16, 32)


class ForeignHasher(HasherProtocol):
    """Verifies hashes of other systems within the bounds of ``foreign_hashes``; they are replaced, and never created.

    It takes all that is not argon2id, with ``IMPORTED_PREFIX`` or without.
    """

    @classmethod
    def identify(cls, hash: str | bytes) -> bool:
        return not _is_argon2id(hash)

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        raise TypeError("new passwords are hashed with argon2id")

    def verify(self, password: str | bytes, hash: str | bytes) -> bool:
        return verifier(_text(hash).removeprefix(IMPORTED_PREFIX))(_text(password))

    def check_needs_rehash(self, hash: str | bytes) -> bool:
        return True


class Passwords:
    """Hashes and verifies passwords at the configured cost."""

    def __init__(self, *, memory_kib: int, time_cost: int) -> None:
        """Set the cost of a hash: ``memory_kib`` in KiB, and ``time_cost`` in passes. The parallelism is 1."""
        hashers: Sequence[HasherProtocol] = (
            FloorArgon2Hasher(memory_kib=memory_kib, time_cost=time_cost),
            ForeignHasher(),
        )
        self._hash = PasswordHash(hashers)
        start = time.perf_counter()
        self._decoy = self.hash("a password that opens nothing")
        self.seconds = time.perf_counter() - start
        """How long one hash took here."""

    def hash(self, password: str) -> str:
        """Return the argon2id hash of ``password`` in PHC string format, with a random salt."""
        return self._hash.hash(password)

    def verify(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Return whether ``password`` matches ``stored``, and a new hash if ``stored`` should be replaced.

        Without a stored hash, a decoy hash is verified instead. Otherwise the answer for a missing account would come
        faster than the one for a wrong password, and the timing would reveal which accounts exist (ASVS 5.0, 6.3.8).
        """
        try:
            correct, new_hash = self._hash.verify_and_update(password, self._decoy if stored is None else stored)
        except (ValueError, TypeError, OverflowError):
            # It cannot be verified: the hash is damaged, unknown or too costly, or bcrypt cannot have made it of this.
            return self.verify(password, None)
        return (False, None) if stored is None else (correct, new_hash)


def _is_argon2id(stored: str | bytes) -> bool:
    """Return whether a hash is not foreign, as in ``models.user.FOREIGN_HASH``."""
    return _text(stored).startswith("$argon2id$")


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _bytes(value: str | bytes) -> bytes:
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
