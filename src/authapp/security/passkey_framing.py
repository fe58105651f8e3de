"""Responses of authenticators, before py_webauthn sees them: lengths, encodings, and what its CBOR parser would obey.

A guest can send these bytes, and the library parses them before it compares a domain or verifies a signature.
"""

from collections.abc import Mapping
from typing import Any

from webauthn.helpers import encode_cbor

from authapp.security import base64url, strict_cbor, strict_json

PublicKeyCredentialJSON = Mapping[str, Any]
"""A ``RegistrationResponseJSON`` or ``AuthenticationResponseJSON`` (WebAuthn L3, section 5.1): what a page sends."""

CREDENTIAL_ID_MAX_BYTES = 1023
PUBLIC_KEY_MAX_BYTES = 1024
"""What is stored with a passkey, and read with each list of them. An RSA key of 4096 bits has 530 bytes."""

_HEADER_BYTES, _AAGUID_BYTES, _ID_LENGTH_BYTES = 37, 16, 2
_FLAGS, _HAS_CREDENTIAL = 32, 0x40
"""Authenticator data (section 6.1)."""

_MAX_BYTES = {
    "clientDataJSON": 4096,
    "authenticatorData": 2048,
    # A credential id, a key, a signature and extensions. Certificates are longer, and were not asked for.
    "attestationObject": 4096,
    "signature": 1024,
}
"""What the members of a response have at most."""


class ResponseRefused(Exception):
    """A response is not accepted. The message says why, for a log: it may quote what the client sent."""


def check_framing(credential: PublicKeyCredentialJSON) -> None:
    """Refuse what the library lets pass, and what it must not parse. Raises ``ResponseRefused``."""
    for name, max_bytes in _MAX_BYTES.items():
        value = credential["response"].get(name)
        if value is not None and len(decoded(value)) > max_bytes:
            raise ResponseRefused(f"{name} is too long")
    # Within a frame of another site, a user may not know for whom the passkey is used (steps 10, 11; 13, 14).
    client_data = client_data_of(credential)
    if client_data.get("crossOrigin", False) is not False or "topOrigin" in client_data:
        raise ResponseRefused("the page was in a frame of another site")
    try:
        _check_cbor(credential["response"])
    except ValueError as error:
        raise ResponseRefused(str(error)) from None


def client_data_of(credential: PublicKeyCredentialJSON) -> dict[str, Any]:
    """Return what the browser says that it did. Raises ``ResponseRefused``."""
    try:
        return strict_json.loads_object(decoded(credential["response"].get("clientDataJSON")))
    except ValueError as error:
        raise ResponseRefused(f"clientDataJSON: {error}") from None


def decoded(text: Any) -> bytes:
    """Return bytes of a response. Raises ``ResponseRefused`` unless they are in canonical base64url."""
    try:
        return base64url.decode(text)
    except (TypeError, ValueError):
        raise ResponseRefused("a value is not base64url") from None


def _check_cbor(response: Mapping[str, Any]) -> None:
    if (attestation := response.get("attestationObject")) is not None:
        attestation_object = strict_cbor.loads(decoded(attestation))
        if not isinstance(attestation_object, dict) or not isinstance(attestation_object.get("authData"), bytes):
            raise ResponseRefused("the attestation is no map with authenticator data")
        _check_authenticator_data(attestation_object["authData"])
    if (data := response.get("authenticatorData")) is not None:
        _check_authenticator_data(decoded(data))


def _check_authenticator_data(data: bytes) -> None:
    """Refuse keys and extensions that are not strict CBOR. Whether they are there at all is for the library to say."""
    if len(data) < _HEADER_BYTES:
        raise ResponseRefused("authenticator data are too short")
    start = _HEADER_BYTES
    if data[_FLAGS] & _HAS_CREDENTIAL:
        id_start = start + _AAGUID_BYTES + _ID_LENGTH_BYTES
        start = id_start + int.from_bytes(data[id_start - _ID_LENGTH_BYTES : id_start], "big")
    values = strict_cbor.loads_all(data[start:])
    # The library takes a key to be as long as it would have written it. It must not go on in the middle of what was
    # read here, where a byte string may hold anything.
    if b"".join(map(encode_cbor, values)) != data[start:]:
        raise ResponseRefused("authenticator data are not in their shortest form")
