"""What a page passes to the authenticator: the options of WebAuthn Level 3, section 5.4 and 5.5, as JSON (5.1.10)."""

from collections.abc import Iterable
from typing import Any

from authapp.config import RelyingParty
from authapp.models import Passkey, User
from authapp.security import base64url
from authapp.security.passkey_responses import ALGORITHMS
from authapp.security.signed_challenges import LIFETIME

_TIMEOUT = int(LIFETIME.total_seconds() * 1000)


def creation_options(party: RelyingParty, challenge: bytes, user: User, present: Iterable[Passkey]) -> dict[str, Any]:
    """Return the ``PublicKeyCredentialCreationOptionsJSON`` for another passkey beside those that are ``present``."""
    return {
        **_challenge(challenge),
        "rp": {"id": party.id, "name": party.name},
        "user": {"id": base64url.encode(user.id.bytes), "name": user.username, "displayName": user.username},
        "pubKeyCredParams": [{"type": "public-key", "alg": int(algorithm)} for algorithm in ALGORITHMS],
        "excludeCredentials": _descriptors(present),
        "authenticatorSelection": {
            "residentKey": "required",
            "requireResidentKey": True,
            "userVerification": "required",
        },
        "attestation": "none",
    }


def request_options(
    party: RelyingParty, challenge: bytes, *, allowed: Iterable[Passkey] = (), user_verification: str
) -> dict[str, Any]:
    """Return the ``PublicKeyCredentialRequestOptionsJSON`` for one of the ``allowed`` passkeys, or for any."""
    return {
        **_challenge(challenge),
        "rpId": party.id,
        "allowCredentials": _descriptors(allowed),
        "userVerification": user_verification,
    }


def _challenge(challenge: bytes) -> dict[str, Any]:
    text = base64url.encode(challenge)
    return {"challenge_id": text, "challenge": text, "timeout": _TIMEOUT}


def _descriptors(passkeys: Iterable[Passkey]) -> list[dict[str, Any]]:
    return [
        {"type": "public-key", "id": base64url.encode(each.credential_id), "transports": each.transports}
        for each in passkeys
    ]
