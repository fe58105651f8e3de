"""Responses of authenticators: registrations and assertions of passkeys (WebAuthn Level 3, sections 7.1 and 7.2).

py_webauthn verifies a response, and raises unless it is right. What it leaves to its caller is verified here too. The
challenge, the signature counter, and whose a credential is are left to the caller of this module.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from webauthn import verify_authentication_response, verify_registration_response
from webauthn.helpers import (
    decode_credential_public_key,
    decoded_public_key_to_cryptography,
    parse_attestation_object,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import AttestationFormat, CredentialDeviceType

from authapp.config import RelyingParty
from authapp.security.passkey_framing import (
    CREDENTIAL_ID_MAX_BYTES,
    PUBLIC_KEY_MAX_BYTES,
    PublicKeyCredentialJSON,
    ResponseRefused,
    check_framing,
    client_data_of,
    decoded,
)

ALGORITHMS = (
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
)
"""What a passkey may sign with, the best first."""

RSA_BITS = range(2048, 4096 + 1)
RSA_EXPONENT = 65_537


@dataclass(frozen=True)
class RegisteredCredential:
    """A new credential, whose user was present and verified."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    backup_eligible: bool
    backed_up: bool
    aaguid: UUID


@dataclass(frozen=True)
class Assertion:
    """What an authenticator said when it signed a challenge."""

    sign_count: int
    backed_up: bool
    user_verified: bool


def challenge_of(credential: PublicKeyCredentialJSON) -> bytes:
    """Return the challenge that was signed. Raises ``ResponseRefused``."""
    return decoded(client_data_of(credential).get("challenge"))


def credential_id_of(credential: PublicKeyCredentialJSON) -> bytes:
    """Return the id of the credential. Raises ``ResponseRefused``."""
    credential_id = decoded(credential.get("rawId"))
    if len(credential_id) > CREDENTIAL_ID_MAX_BYTES:
        raise ResponseRefused("the id of the credential is too long")
    return credential_id


def user_handle_of(credential: PublicKeyCredentialJSON) -> bytes | None:
    """Return the ``user.id`` that the authenticator stored, if it tells. Raises ``ResponseRefused``."""
    handle = credential["response"].get("userHandle")
    return None if handle is None else decoded(handle)


def verify_registration(
    credential: PublicKeyCredentialJSON, challenge: bytes, party: RelyingParty
) -> RegisteredCredential:
    """Return the credential that was made with ``challenge``. Raises ``ResponseRefused`` (section 7.1)."""
    check_framing(credential)
    with _refusing():
        # Before the library computes anything with a key and certificates of anybody's choice.
        _check_attestation(decoded(credential["response"]["attestationObject"]))
        verified = verify_registration_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=list(party.origins),
            require_user_verification=True,
            supported_pub_key_algs=list(ALGORITHMS),
        )
    if verified.credential_id != credential_id_of(credential):
        raise ResponseRefused("the credential has another id than its authenticator gave it")
    return RegisteredCredential(
        credential_id=verified.credential_id,
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        backup_eligible=verified.credential_device_type == CredentialDeviceType.MULTI_DEVICE,
        backed_up=verified.credential_backed_up,
        aaguid=UUID(verified.aaguid),
    )


def verify_assertion(
    credential: PublicKeyCredentialJSON,
    challenge: bytes,
    party: RelyingParty,
    *,
    public_key: bytes,
    backup_eligible: bool,
    require_user_verification: bool,
) -> Assertion:
    """Return what was asserted when the credential with this ``public_key`` signed ``challenge``.

    Raises ``ResponseRefused`` (section 7.2, steps 7 to 21).
    """
    check_framing(credential)
    with _refusing():
        verified = verify_authentication_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=list(party.origins),
            credential_public_key=public_key,
            # The library would refuse a counter that goes back, which synced passkeys do honestly.
            credential_current_sign_count=0,
            require_user_verification=require_user_verification,
        )
    if (verified.credential_device_type == CredentialDeviceType.MULTI_DEVICE) != backup_eligible:
        raise ResponseRefused("backup eligibility changed")
    return Assertion(verified.new_sign_count, verified.credential_backed_up, verified.user_verified)


def known_transports(transports: Sequence[Any]) -> list[str]:
    """Return those of a client's transports that look like one (section 5.8.4), each once; others are dropped."""
    named = (
        each for each in transports if isinstance(each, str) and each.isascii() and each.replace("-", "").isalpha()
    )
    return [each for each in dict.fromkeys(named) if len(each) <= 32][:10]


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except ResponseRefused:
        raise
    except Exception as error:
        # A client chooses these bytes, and on the way from CBOR to a key nearly every kind of error can be raised.
        raise ResponseRefused(f"{type(error).__name__}: {error}") from error


def _check_attestation(attestation: bytes) -> None:
    """Refuse attestations that were not asked for, and keys that are not for passkeys."""
    attestation_object = parse_attestation_object(attestation)
    is_self = attestation_object.fmt == AttestationFormat.PACKED and attestation_object.att_stmt.x5c is None
    if attestation_object.fmt != AttestationFormat.NONE and not is_self:
        raise ResponseRefused("the attestation is neither none nor by the credential itself")
    attested = attestation_object.auth_data.attested_credential_data
    if attested is None:
        raise ResponseRefused("there is no credential")
    _check_key(attested.credential_public_key)


def _check_key(public_key: bytes) -> None:
    """Refuse a key that is too long, or not of its algorithm: no login is to fail for a passkey that was accepted."""
    # A COSE_Key may have any other members, of any length (RFC 9052, section 7).
    if len(public_key) > PUBLIC_KEY_MAX_BYTES:
        raise ResponseRefused("the public key is too long")
    cose_key = decode_credential_public_key(public_key)
    key = decoded_public_key_to_cryptography(cose_key)
    fits = {
        COSEAlgorithmIdentifier.EDDSA: isinstance(key, Ed25519PublicKey),
        # ES256 is with this curve alone (section 5.8.5).
        COSEAlgorithmIdentifier.ECDSA_SHA_256: isinstance(key, EllipticCurvePublicKey)
        and isinstance(key.curve, SECP256R1),
        # A large exponent makes each login cost as much as signing.
        COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256: isinstance(key, RSAPublicKey)
        and key.key_size in RSA_BITS
        and key.public_numbers().e == RSA_EXPONENT,
    }
    if not fits.get(cose_key.alg, False):
        raise ResponseRefused("the public key is not of its algorithm, or has an unusual size or exponent")
