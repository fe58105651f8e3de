"""An authenticator in software, with the browser around it (WebAuthn Level 3), that can be told to do wrong."""

import json
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_bytes
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from werkzeug.test import TestResponse

from authapp.security import base64url
from factories import Api

ORIGIN = "https://app.example.com"
OTHER_ORIGINS: list[Any] = [
    "https://example.com",
    "https://app.example.com.",
    "https://app.example.com:8443",
    "https://APP.example.com",
    "https://app.example.com/",
    "https://other.example.com",
    "https://app.example.com.other.example",
    "https://notapp.example.com",
    "http://app.example.com",
    "app.example.com",
    "null",
    "",
    None,
    ["https://app.example.com"],
]
"""Origins that are not ``ORIGIN``, however alike they look, and what is no origin."""
RP_ID = "example.com"
ES256, EDDSA, RS256 = -7, -8, -257
UP, UV, BE, BS, AT, ED = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80


def new_key(algorithm: int) -> Any:
    if algorithm == EDDSA:
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm == RS256:
        return rsa.generate_private_key(65_537, 2048)
    return ec.generate_private_key(ec.SECP256R1())


def cose_key(key: Any, algorithm: int) -> dict[int, Any]:
    """Return the public key as a COSE_Key (RFC 9052)."""
    public = key.public_key()
    if isinstance(public, ed25519.Ed25519PublicKey):
        return {1: 1, 3: algorithm, -1: 6, -2: public.public_bytes_raw()}
    numbers: Any = public.public_numbers()
    if isinstance(public, rsa.RSAPublicKey):
        return {1: 3, 3: algorithm, -1: _bytes(numbers.n), -2: _bytes(numbers.e)}
    size = (key.curve.key_size + 7) // 8
    curve = {"secp256r1": 1, "secp384r1": 2}[key.curve.name]
    return {1: 2, 3: algorithm, -1: curve, -2: numbers.x.to_bytes(size, "big"), -3: numbers.y.to_bytes(size, "big")}


@dataclass
class Authenticator:
    """One authenticator with at most one passkey. ``flags`` are those of each response, ``step`` what it counts by."""

    algorithm: int = ES256
    flags: int = UP | UV
    step: int = 1
    origin: str = ORIGIN
    sign_count: int = 0
    credential_id: bytes = field(default_factory=lambda: token_bytes(32))
    user_handle: bytes = b""
    key: Any = None

    def __post_init__(self) -> None:
        self.key = self.key or new_key(self.algorithm)

    def create(
        self,
        options: dict[str, Any],
        *,
        client_data: dict[str, Any] | None = None,
        attestation: dict[str, Any] | None = None,
        cose: dict[int, Any] | None = None,
        rp_id: str | None = None,
        **response: Any,
    ) -> dict[str, Any]:
        """Return a ``RegistrationResponseJSON``; what is given replaces what an honest one would have."""
        self.user_handle = base64url.decode(options["user"]["id"])
        data = self._client_data("webauthn.create", options, client_data)
        public = cbor2.dumps(cose or cose_key(self.key, self.algorithm))
        attested = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id + public
        authenticated = self.header(rp_id or options["rp"]["id"], self.flags | AT) + attested + self._extensions()
        statement = {"fmt": "none", "attStmt": {}, "authData": authenticated, **(attestation or {})}
        honest = {
            "clientDataJSON": base64url.encode(data),
            "attestationObject": base64url.encode(cbor2.dumps(statement)),
            "transports": ["internal", "hybrid"],
        }
        return self._credential({**honest, **response})

    def get(
        self,
        options: dict[str, Any],
        *,
        client_data: dict[str, Any] | None = None,
        rp_id: str | None = None,
        **response: Any,
    ) -> dict[str, Any]:
        """Return an ``AuthenticationResponseJSON``; what is given replaces what an honest one would have."""
        self.sign_count += self.step
        data = self._client_data("webauthn.get", options, client_data)
        authenticated = self.header(rp_id or options["rpId"], self.flags) + self._extensions()
        honest = {
            "clientDataJSON": base64url.encode(data),
            "authenticatorData": base64url.encode(authenticated),
            "signature": base64url.encode(self.sign(authenticated + sha256(data).digest())),
            "userHandle": base64url.encode(self.user_handle),
        }
        return self._credential({**honest, **response})

    def sign(self, data: bytes) -> bytes:
        signed: bytes
        if self.algorithm == EDDSA:
            signed = self.key.sign(data)
        elif self.algorithm == RS256:
            signed = self.key.sign(data, padding.PKCS1v15(), SHA256())
        else:
            signed = self.key.sign(data, ec.ECDSA(SHA256()))
        return signed

    def header(self, rp_id: str, flags: int) -> bytes:
        """Return authenticator data without a credential and extensions."""
        return sha256(rp_id.encode()).digest() + bytes([flags]) + self.sign_count.to_bytes(4, "big")

    def _extensions(self) -> bytes:
        """Return what an authenticator says of an extension that browsers ask for by themselves."""
        return cbor2.dumps({"credProtect": 2}) if self.flags & ED else b""

    def _client_data(self, kind: str, options: dict[str, Any], changes: dict[str, Any] | None) -> bytes:
        data = {"type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": False}
        return json.dumps({**data, **(changes or {})}).encode()

    def _credential(self, response: dict[str, Any]) -> dict[str, Any]:
        id_ = base64url.encode(self.credential_id)
        given = {name: value for name, value in response.items() if value is not None}
        return {"id": id_, "rawId": id_, "type": "public-key", "response": given, "clientExtensionResults": {}}


def not_canonical(text: str) -> str:
    """Return base64url of the same bytes with unused bits that are not zero, which lax decoders accept.

    Raises ``ValueError`` where no bits are unused: three bytes are four characters.
    """
    if len(text) % 4 == 0:
        raise ValueError("no bits of this text are unused")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + alphabet[alphabet.index(text[-1]) + 1]


def _bytes(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def creation_options(api: Api, token: str) -> dict[str, Any]:
    """Return what a page of a logged-in user passes to its authenticator."""
    response = api.post("/users/me/passkeys/challenges", {}, token)
    assert response.status_code == 201, response.get_json()
    options: dict[str, Any] = response.get_json()
    return options


def send_registration(api: Api, token: str, options: dict[str, Any], credential: dict[str, Any]) -> TestResponse:
    body = {"challenge_id": options["challenge_id"], "name": "A key", "credential": credential}
    return api.post("/users/me/passkeys", body, token)


def add_passkey(api: Api, token: str, authenticator: Authenticator | None = None) -> Authenticator:
    """Add a passkey to the account of the token, and return its authenticator."""
    authenticator = authenticator or Authenticator()
    options = creation_options(api, token)
    response = send_registration(api, token, options, authenticator.create(options))
    assert response.status_code == 201, response.get_json()
    return authenticator


def request_options(api: Api) -> dict[str, Any]:
    """Return what a guest's page passes to its authenticator."""
    response = api.post("/auth/passkey-challenges", {})
    assert response.status_code == 201, response.get_json()
    options: dict[str, Any] = response.get_json()
    return options


def send_login(api: Api, options: dict[str, Any], credential: dict[str, Any]) -> TestResponse:
    return api.post("/auth/passkey-logins", {"challenge_id": options["challenge_id"], "credential": credential})


def log_in(api: Api, authenticator: Authenticator, **changes: Any) -> TestResponse:
    """Log in with a passkey; ``changes`` are those of ``Authenticator.get``."""
    options = request_options(api)
    return send_login(api, options, authenticator.get(options, **changes))
