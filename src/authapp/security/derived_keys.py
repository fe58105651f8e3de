"""Keys that are derived from the key ring, so that all workers and nodes share them."""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from authapp.security.keys import KeyRing


def derived_keys(ring: KeyRing, purpose: str) -> list[bytes]:
    """Return a key of 32 bytes for each key of the ring, in its order: the first one writes, and all of them verify.

    They are derived with HKDF (RFC 5869), because each key should have one ``purpose`` only.
    """
    secrets = (str(key.jwk["k"] if key.jwk["kty"] == "oct" else key.jwk["d"]) for key in ring)
    info = f"authapp {purpose}".encode()
    return [HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret.encode()) for secret in secrets]
