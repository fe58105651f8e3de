"""The key ring: a private JWK Set (RFC 7517). The first key signs; each key verifies tokens of its own algorithm."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Protocol, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from jwt import PyJWK
from jwt.algorithms import Algorithm
from jwt.exceptions import PyJWTError

from authapp.security import base64url
from authapp.security.key_generation import GENERATORS
from authapp.security.published_keys import PUBLISHED_THUMBPRINTS

MIN_HMAC_BYTES = 32
MIN_HMAC_DISTINCT_BYTES = 10
MIN_RSA_BITS = 2048
YEAR_10000 = 253_402_300_800

_ALGORITHMS = {
    ("EC", "P-256"): "ES256",
    ("OKP", "Ed25519"): "EdDSA",
    ("RSA", None): "RS256",
    ("oct", None): "HS256",
}
_PUBLIC_MEMBERS = {"kty", "kid", "alg", "use", "crv", "x", "y", "n", "e"}
_THUMBPRINT_MEMBERS = {"EC": "crv kty x y", "OKP": "crv kty x", "RSA": "e kty n", "oct": "k kty"}


class InvalidKey(ValueError):
    """A JWK or a JWK Set cannot be used. The message says why, and never contains the key."""


class HasKid(Protocol):
    """A key that is known by an id."""

    @property
    def kid(self) -> str:
        """The id of the key."""


def thumbprint(jwk: dict[str, Any]) -> str:
    """Return the JWK thumbprint (RFC 7638) with SHA-256, as base64url."""
    members = {name: jwk[name] for name in _THUMBPRINT_MEMBERS[jwk["kty"]].split()}
    return base64url.encode(sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest())


@dataclass(frozen=True, eq=False)
class Key:
    """One private key. ``kid`` is its thumbprint; ``alg`` is its only algorithm (RFC 8725, section 3.1)."""

    kid: str
    alg: str
    jwk: dict[str, Any] = field(repr=False)
    _algorithm: Algorithm = field(repr=False)
    _private: Any = field(repr=False)
    _public: Any = field(repr=False)

    @classmethod
    def from_jwk(cls, jwk: Any) -> Self:
        """Return the key in a private JWK; ``kid``, ``alg`` and ``use`` are added when missing.

        Raises ``InvalidKey`` for a key that is public, too short, published, of an unsupported type, or inconsistent.
        """
        alg = _algorithm_of(jwk)
        try:
            pyjwk = PyJWK(jwk, alg)
            # Written anew, for one key has many spellings: padding, leading zeros, a foreign alphabet.
            canonical = _canonical(pyjwk)
        except (PyJWTError, KeyError, TypeError, ValueError, AttributeError, UnsupportedAlgorithm):
            raise InvalidKey(f"is not a usable {jwk['kty']} key.") from None
        kid = thumbprint(canonical)
        _check_members(jwk, kid)
        _check_strength(canonical, pyjwk.key, kid)
        public = pyjwk.key if alg == "HS256" else pyjwk.key.public_key()
        dates = {name: jwk_date(jwk, name) for name in ("iat", "exp") if name in jwk}
        whole = {**canonical, "kid": kid, "alg": alg, "use": "sig", **dates}
        return cls(kid, alg, whole, pyjwk.Algorithm, pyjwk.key, public)

    @classmethod
    def generate(cls, alg: str = "ES256") -> Self:
        """Return a new key for the algorithm ``alg``, one of ``key_generation.GENERATORS``."""
        return cls.from_jwk(GENERATORS[alg]())

    def sign(self, message: bytes) -> bytes:
        """Return the JWS signature (RFC 7515) over ``message``."""
        return self._algorithm.sign(message, self._private)

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Return whether ``signature`` is a valid signature of this key over ``message``."""
        return self._algorithm.verify(message, self._public, signature)


class KeyRing:
    """The configured keys, in order."""

    def __init__(self, keys: Sequence[Key]) -> None:
        """Take the keys; the first one signs. Raises ``InvalidKey`` if there are none, or if one is given twice."""
        if not keys:
            raise InvalidKey("the set holds no key.")
        self._by_kid = {key.kid: key for key in keys}
        if len(self._by_kid) != len(keys):
            raise InvalidKey("the set holds one key twice.")
        self.signing = keys[0]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._by_kid.values())

    def get(self, kid: str) -> Key | None:
        """Return the configured key ``kid``, or ``None``. Keys never come from elsewhere, such as a token's header."""
        return self._by_kid.get(kid)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a JWK Set. Raises ``InvalidKey`` with every problem in it."""
        if problems := list(cls.problems(text)):
            raise InvalidKey(" ".join(problems))
        return cls([Key.from_jwk(jwk) for jwk in jwks_in(text)])

    @classmethod
    def problems(cls, text: str) -> Iterator[str]:
        """Yield one sentence for each reason why ``text`` is not a valid key ring."""
        yield from problems_of_set(text, Key.from_jwk)

    def public(self) -> list[dict[str, Any]]:
        """Return the public JWKs, with which others verify tokens. HMAC keys are left out: they have no public part."""
        return [
            {name: value for name, value in key.jwk.items() if name in _PUBLIC_MEMBERS}
            for key in self
            if key.jwk["kty"] != "oct"
        ]

    def to_json(self) -> str:
        """Return the private JWK Set, secrets included."""
        return json.dumps({"keys": [key.jwk for key in self]}, indent=2)


def jwks_in(text: str) -> list[Any]:
    """Return what stands in the list of a JWK Set, unchecked. Raises ``InvalidKey``."""
    try:
        jwks = json.loads(text)["keys"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InvalidKey('is not a JWK Set: {"keys": [...]}.') from None
    if not isinstance(jwks, list) or not jwks:
        raise InvalidKey("holds no key.")
    return jwks


def kids_in(text: str) -> set[str]:
    """Return the ids of the keys in a JWK Set; of one that cannot be used, none."""
    return {key.kid for key in KeyRing.from_json(text)} if not list(KeyRing.problems(text)) else set()


def problems_of_set(text: str, read: Callable[[Any], HasKid]) -> Iterator[str]:
    """Yield one sentence for each reason why ``text`` is not a JWK Set of keys that ``read`` accepts.

    ``read`` takes a JWK, and raises ``InvalidKey`` with the end of a sentence.
    """
    try:
        jwks = jwks_in(text)
    except InvalidKey as error:
        yield str(error)
        return
    kids = []
    for number, jwk in enumerate(jwks, start=1):
        try:
            kids.append(read(jwk).kid)
        except InvalidKey as error:
            yield f"key {number} {error}"
    if len(set(kids)) != len(kids):
        yield "holds one key twice."


def jwk_date(jwk: dict[str, Any], name: str) -> int:
    """Return the date ``name`` of a JWK, in seconds since the epoch. Raises ``InvalidKey``."""
    value = jwk[name]
    if not isinstance(value, int) or not 0 <= value < YEAR_10000:
        raise InvalidKey(f'has an "{name}" that is no date: use seconds since 1970.')
    return value


def _canonical(pyjwk: PyJWK) -> dict[str, Any]:
    if isinstance(pyjwk.key, bytes):
        return {"kty": "oct", "k": base64url.encode(pyjwk.key)}
    jwk = pyjwk.Algorithm.to_jwk(pyjwk.key, as_dict=True)
    return {name: value for name, value in jwk.items() if name != "key_ops"}


def _algorithm_of(jwk: Any) -> str:
    if not isinstance(jwk, dict) or not isinstance(jwk.get("kty"), str):
        raise InvalidKey('is not a JWK: it has no "kty".')
    curve = jwk.get("crv") if jwk["kty"] in {"EC", "OKP"} else None
    kind = (jwk["kty"], curve)
    if not isinstance(curve, str | None) or kind not in _ALGORITHMS:
        raise InvalidKey("is of a type that is not supported: use EC P-256, OKP Ed25519, RSA or oct.")
    alg = _ALGORITHMS[kind]
    if jwk.get("alg", alg) != alg:
        raise InvalidKey(f'has an "alg" other than {alg}, the one for its type.')
    return alg


def _check_members(jwk: dict[str, Any], kid: str) -> None:
    if jwk["kty"] != "oct" and "d" not in jwk:
        raise InvalidKey("is a public key; the private one is needed to sign.")
    if jwk.get("use", "sig") != "sig":
        raise InvalidKey('has a "use" other than "sig".')
    if jwk.get("kid", kid) != kid:
        raise InvalidKey(f'has a "kid" that is not its thumbprint (RFC 7638): leave it out, or set {kid}.')


def _check_strength(jwk: dict[str, Any], key: Any, kid: str) -> None:
    if kid in PUBLISHED_THUMBPRINTS:
        raise InvalidKey("is an example key that was published: anyone can sign with it.")
    if isinstance(key, RSAPrivateKey) and key.key_size < MIN_RSA_BITS:
        raise InvalidKey(f"is a short RSA key: {key.key_size} bits, and at least {MIN_RSA_BITS} are needed.")
    if jwk["kty"] == "oct":
        if len(key) < MIN_HMAC_BYTES:
            raise InvalidKey(f"is a short HMAC key: {len(key)} bytes, and at least {MIN_HMAC_BYTES} are needed.")
        if len(set(key)) < MIN_HMAC_DISTINCT_BYTES:
            raise InvalidKey("is a weak HMAC key: it repeats a few bytes. Generate one at random.")
