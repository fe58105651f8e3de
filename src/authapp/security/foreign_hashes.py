"""Password hashes that other systems made: read, bounded in cost, and verified. None is ever created here."""

import base64
import hashlib
import hmac
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

import bcrypt
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from werkzeug.security import check_password_hash

from authapp.registry import Registry

Verify = Callable[[str], bool]
"""Returns whether a password matches; raises ``ValueError`` if the hash cannot be of such a password."""


@dataclass(frozen=True)
class HashFormat:
    """A format of password hashes.

    ``pattern`` matches a whole hash, in ASCII. Its group ``hash``, and those whose names begin with ``salt``, are what
    differs between hashes of equal cost; the numbers in all other groups are costs. ``read`` returns what verifies
    passwords against a match, and computes nothing itself. It raises ``ValueError``, with a sentence that does not
    quote the hash, for one that is damaged, or that costs more than any guest may make the server do.

    Raises ``ValueError`` if ``pattern`` has no group ``hash``.
    """

    pattern: re.Pattern[str]
    read: Callable[[re.Match[str]], Verify]

    def __post_init__(self) -> None:
        if "hash" not in self.pattern.groupindex:
            raise ValueError("The pattern of a format needs the group 'hash'.")


hash_formats: Registry[HashFormat] = Registry(
    "format of hashes", r"[a-z][a-z0-9_]{0,39}", "use 1 to 40 of a-z, 0-9 and _, such as acme_md5."
)
"""The formats, which are tried in order. Register your own before ``create_app()``."""

IMPORTED_PREFIX = "imported$"
"""What the import puts before a hash. Such a hash is replaced at the next login, even if it is argon2id."""

MAX_LENGTH = 1_024
MAX_BCRYPT_COST = 14
MAX_PBKDF2_ITERATIONS = 2_000_000
MAX_MEMORY = 256 * 1024 * 1024
"""The most memory of scrypt and argon2, in bytes."""

MAX_ARGON2_KIB_PASSES = 1_048_576
"""The most memory of argon2 in KiB, times its passes."""

MAX_ARGON2_LANE_PASSES = 64
"""The most lanes of argon2, times its passes: each starts threads, which take longer than what little they compute."""

MAX_SCRYPT_PARALLELISM = 16

BCRYPT_READS_BYTES = 72


def verifier(stored: str) -> Verify:
    """Return what verifies passwords against the hash ``stored``; nothing is computed before it is called.

    Raises ``ValueError``, with a sentence that does not quote the hash, if its format is unknown, or if it costs more
    than the maximum: an imported hash is work that any guest can make this server do.
    """
    name, match = _matched(stored)
    return hash_formats[name].read(match)


def cost_of(stored: str) -> tuple[str, tuple[int, ...]]:
    """Return the name of the format of a hash, and what it costs: the numbers in it, and its length.

    Raises ``ValueError`` for an unknown format.
    """
    name, match = _matched(stored)
    groups = match.groupdict(default="")
    length = len(groups.pop("hash"))
    costs = [text for group, text in groups.items() if not group.startswith("salt")]
    return name, (*(int(number) for text in costs for number in re.findall(r"\d+", text)), length)


def _matched(stored: str) -> tuple[str, re.Match[str]]:
    if len(stored) <= MAX_LENGTH and stored.isascii():
        for name, each in hash_formats.items():
            if match := each.pattern.fullmatch(stored):
                return name, match
    raise ValueError("The password hash has no known format.")


def firebase_hash(hashed: str, salt: str, *, signer_key: str, separator: str, rounds: int, mem_cost: int) -> str:
    """Return a hash of Firebase, with the parameters of its project, as one text; the form is that of Supabase Auth."""
    key, ending, salt, hashed = (_standard_base64(part) for part in (signer_key, separator, salt, hashed))
    return f"$fbscrypt$v=1,n={mem_cost},r={rounds},p=1,ss={ending},sk={key}${salt}${hashed}"


def pbkdf2_hash(digest: str, iterations: int, salt: str, hashed: str) -> str:
    """Return a PBKDF2 hash as one text in passlib's format; ``salt`` and ``hashed`` are base64."""
    salt, hashed = (_standard_base64(part).rstrip("=") for part in (salt, hashed))
    name = "pbkdf2" if digest == "sha1" else f"pbkdf2-{digest}"
    return f"${name}${iterations}${salt}${hashed}"


def argon2_hash(
    kind: str, *, version: int, memory_kib: int, time_cost: int, parallelism: int, salt: str, hashed: str
) -> str:
    """Return an argon2 hash as a PHC string; ``kind`` is ``id``, ``i`` or ``d``; ``salt`` and ``hashed`` are base64."""
    salt, hashed = (_standard_base64(part).rstrip("=") for part in (salt, hashed))
    return f"$argon2{kind}$v={version}$m={memory_kib},t={time_cost},p={parallelism}${salt}${hashed}"


def _read_argon2(match: re.Match[str]) -> Verify:
    stored = match["hash"]
    try:
        cost = extract_parameters(stored)
    except InvalidHashError:
        raise ValueError("The argon2 hash is damaged.") from None
    memory, passes, lanes = cost.memory_cost, cost.time_cost, cost.parallelism
    if lanes < 1 or passes < 1 or memory < 8 * lanes or cost.salt_len < 8 or cost.hash_len < 16:
        raise ValueError("The argon2 hash is damaged.")
    costs = (
        memory * 1024 / MAX_MEMORY,
        memory * passes / MAX_ARGON2_KIB_PASSES,
        lanes * passes / MAX_ARGON2_LANE_PASSES,
    )
    if max(costs) > 1:
        raise ValueError("The argon2 hash costs too much.")

    def verify(password: str) -> bool:
        try:
            return PasswordHasher().verify(stored, _bytes(password))
        except VerifyMismatchError:
            return False
        except (VerificationError, InvalidHashError):
            raise ValueError("The argon2 hash is damaged.") from None

    return verify


def _read_bcrypt(match: re.Match[str]) -> Verify:
    if not 4 <= int(match["cost"]) <= MAX_BCRYPT_COST:
        raise ValueError(f"The bcrypt hash has a cost that is not from 4 to {MAX_BCRYPT_COST}.")
    if match["variant"] == "x":
        # Whoever wrote it read bytes above 127 as negative, and the library computes it as $2b$.
        raise ValueError("A bcrypt hash with $2x$ is of a faulty version, and would not open for all passwords.")
    stored, is_prehashed = match["hash"].encode(), match["kind"] == "bcrypt_sha256$"

    def verify(password: str) -> bool:
        encoded = _bytes(password)
        if is_prehashed:
            encoded = hashlib.sha256(encoded).hexdigest().encode()
        # With truncation, every password with the same first 72 bytes would be accepted; C code ends at a NUL byte.
        if len(encoded) > BCRYPT_READS_BYTES or b"\0" in encoded:
            raise ValueError("bcrypt cannot have hashed this password")
        return bcrypt.checkpw(encoded, stored)

    return verify


def _read_pbkdf2(match: re.Match[str]) -> Verify:
    return _pbkdf2(match["digest"] or "sha1", int(match["cost"]), _decoded(match["salt"]), _decoded(match["hash"]))


def _read_django_pbkdf2(match: re.Match[str]) -> Verify:
    return _pbkdf2(match["digest"], int(match["cost"]), match["salt"].encode(), _decoded(match["hash"]))


def _pbkdf2(digest: str, iterations: int, salt: bytes, expected: bytes) -> Verify:
    _require_pbkdf2_cost(iterations)
    # Each further block of output costs as much as the first.
    blocks = -(-len(expected) // hashlib.new(digest).digest_size)
    if iterations * blocks > MAX_PBKDF2_ITERATIONS:
        raise ValueError("The PBKDF2 hash is too long for its iterations.")
    return _compared(expected, lambda encoded: hashlib.pbkdf2_hmac(digest, encoded, salt, iterations, len(expected)))


def _require_pbkdf2_cost(iterations: int) -> None:
    if not 1 <= iterations <= MAX_PBKDF2_ITERATIONS:
        raise ValueError(f"The PBKDF2 hash has iterations that are not from 1 to {MAX_PBKDF2_ITERATIONS}.")


def _read_scrypt(match: re.Match[str]) -> Verify:
    cost = (2 ** min(int(match["ln"]), 64), int(match["r"]), int(match["p"]))
    return _scrypt(*cost, _decoded(match["salt"]), _decoded(match["hash"]))


def _read_django_scrypt(match: re.Match[str]) -> Verify:
    cost = (int(match["n"]), int(match["r"]), int(match["p"]))
    return _scrypt(*cost, match["salt"].encode(), _decoded(match["hash"]))


def _read_better_auth(match: re.Match[str]) -> Verify:
    # It hashes the text of the salt, not the bytes that the text stands for.
    verify = _scrypt(16_384, 16, 1, match["salt"].encode(), bytes.fromhex(match["hash"]))
    return lambda password: verify(unicodedata.normalize("NFKC", password))


def _scrypt(n: int, r: int, p: int, salt: bytes, expected: bytes) -> Verify:
    _require_scrypt_cost(n, r, p)
    return _compared(expected, lambda encoded: _scrypt_key(encoded, salt, n, r, p, len(expected)))


def _require_scrypt_cost(n: int, r: int, p: int) -> None:
    if n < 2 or n & (n - 1) or not r or not p:
        raise ValueError("The scrypt hash has costs that scrypt does not have.")
    if 128 * n * r * p > MAX_MEMORY:
        raise ValueError(f"The scrypt hash needs more than {MAX_MEMORY // 1024**2} MiB.")
    if p > MAX_SCRYPT_PARALLELISM:
        raise ValueError(f"The scrypt hash has a parallelism above {MAX_SCRYPT_PARALLELISM}.")


def _scrypt_key(password: bytes, salt: bytes, n: int, r: int, p: int, length: int) -> bytes:
    return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=MAX_MEMORY + 2**26, dklen=length)


def _read_firebase(match: re.Match[str]) -> Verify:
    n, r, p = 2 ** min(int(match["ln"]), 64), int(match["r"]), int(match["p"])
    _require_scrypt_cost(n, r, p)
    salt, signer_key = _decoded(match["salt"]) + _decoded(match["salt_separator"]), _decoded(match["salt_key"])

    def signed(encoded: bytes) -> bytes:
        key = _scrypt_key(encoded, salt, n, r, p, 32)
        encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
        return encryptor.update(signer_key) + encryptor.finalize()

    return _compared(_decoded(match["hash"]), signed)


def _read_werkzeug(match: re.Match[str]) -> Verify:
    method, *parameters = match["method"].split(":")
    if method == "scrypt":
        size = 64
        _require_scrypt_cost(*(int(cost) for cost in parameters or (32_768, 8, 1)))
    else:
        digest, *iterations = parameters
        size = hashlib.new(digest).digest_size
        _require_pbkdf2_cost(*(int(cost) for cost in iterations or (MAX_PBKDF2_ITERATIONS,)))
    if len(match["hash"]) != 2 * size:
        raise ValueError("The password hash is damaged.")
    return lambda password: check_password_hash(match[0], password)


def _read_salted_sha1(match: re.Match[str]) -> Verify:
    decoded = _decoded(match["hash"])
    digest, salt = decoded[:20], decoded[20:]
    if len(digest) < 20:
        raise ValueError("The {SSHA} hash is damaged.")
    return _compared(digest, lambda encoded: hashlib.sha1(encoded + salt, usedforsecurity=False).digest())


def _compared(expected: bytes, compute: Callable[[bytes], bytes]) -> Verify:
    if not 16 <= len(expected) <= 128:
        raise ValueError("The password hash has no usable length.")
    return lambda password: hmac.compare_digest(compute(_bytes(password)), expected)


def _decoded(text: str) -> bytes:
    """Return the bytes of base64 in the standard alphabet, or in passlib's; padding may be missing."""
    text = text.replace(".", "+").rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise ValueError("The password hash is damaged.") from None


def _standard_base64(text: str) -> str:
    """Return base64, URL-safe or not, in the standard alphabet. Raises ``ValueError``."""
    text = text.replace("-", "+").replace("_", "/")
    _decoded(text)
    return text


_B64 = r"[A-Za-z0-9+/.]+={0,2}"
_COST = r"\d{1,10}"
_BCRYPT = r"(?P<hash>\$2(?P<variant>[abxy])\$(?P<cost>\d\d)\$[./A-Za-z0-9]{53})"
_FIREBASE_COSTS = rf"v=1,n=(?P<ln>\d\d?),r=(?P<r>{_COST}),p=(?P<p>{_COST})"
# The same in all hashes of a project.
_FIREBASE_SALTS = rf"ss=(?P<salt_separator>(?:{_B64})?),sk=(?P<salt_key>{_B64})"
_WERKZEUG = rf"scrypt(?::{_COST}){{3}}|scrypt|pbkdf2:sha(?:1|256|512)(?::{_COST})?"

for _name, _pattern, _read in (
    # PHC strings, and Django's name before them.
    ("argon2", r"(?:argon2)?(?P<hash>\$argon2(?:id|i|d)\$(?P<costs>(?:v=\d+\$)?[^$\n]+).*)", _read_argon2),
    (
        "scrypt",
        rf"\$scrypt\$ln=(?P<ln>\d\d?),r=(?P<r>{_COST}),p=(?P<p>{_COST})\$(?P<salt>{_B64})\$(?P<hash>{_B64})",
        _read_scrypt,
    ),
    # Laravel, Auth0, Supabase; Django has it with and without SHA-256.
    ("bcrypt", rf"(?P<kind>bcrypt\$|bcrypt_sha256\$|){_BCRYPT}", _read_bcrypt),
    (
        "django_pbkdf2",
        rf"pbkdf2_(?P<digest>sha256|sha1)\$(?P<cost>{_COST})\$(?P<salt>[^$]+)\$(?P<hash>{_B64})",
        _read_django_pbkdf2,
    ),
    (
        "django_scrypt",
        rf"scrypt\$(?P<n>{_COST})\$(?P<salt>[^$]+)\$(?P<r>{_COST})\$(?P<p>{_COST})\$(?P<hash>{_B64})",
        _read_django_scrypt,
    ),
    # passlib, and Keycloak in its format.
    (
        "pbkdf2",
        rf"\$pbkdf2(?:-(?P<digest>sha256|sha512))?\$(?P<cost>{_COST})\$(?P<salt>{_B64})\$(?P<hash>{_B64})",
        _read_pbkdf2,
    ),
    ("ldap_salted_sha1", rf"\{{SSHA\}}(?P<hash>{_B64})", _read_salted_sha1),
    # Supabase's form of Firebase's.
    (
        "firebase",
        rf"\$fbscrypt\${_FIREBASE_COSTS},{_FIREBASE_SALTS}\$(?P<salt>{_B64})\$(?P<hash>{_B64})",
        _read_firebase,
    ),
    ("better_auth", r"(?P<salt>[0-9a-f]{32}):(?P<hash>[0-9a-f]{128})", _read_better_auth),
    ("werkzeug", rf"(?P<method>{_WERKZEUG})\$(?P<salt>[^$]+)\$(?P<hash>[0-9a-f]+)", _read_werkzeug),
):
    hash_formats.register(_name, HashFormat(re.compile(_pattern), _read))


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")
