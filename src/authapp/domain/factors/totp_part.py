"""The secret of an authenticator app as a part of an account that moves."""

from base64 import b32decode
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from authapp.context import RequestContext
from authapp.domain import audit
from authapp.domain.account_parts import AccountPart, PartTools, account_parts
from authapp.domain.audit import EventType
from authapp.domain.factors.kinds import TOTP
from authapp.domain.factors.totp import secret_text
from authapp.domain.factors.totp_factors import TotpFactors

SECRET_BYTES = range(10, 65)
"""How long a secret may be. RFC 4226 asks for 16 bytes, and many systems made 10."""


def _part(tools: PartTools) -> AccountPart:
    factors = TotpFactors.of(tools)

    def read(value: Any) -> bytes:
        secret = _secret(value)
        if tools.encryption_keys is None:
            raise ValueError("AUTHAPP_ENCRYPTION_KEYS is not set, and secrets are stored encrypted.")
        return secret

    def store(secrets: Mapping[UUID, bytes], context: RequestContext) -> None:
        factors.add_confirmed(secrets)
        audit.record_many(EventType.FACTOR_ADDED, ((user_id, {"factor": TOTP}) for user_id in secrets), context)

    def export(user_ids: Sequence[UUID]) -> dict[UUID, str]:
        return {user_id: secret_text(secret) for user_id, secret in factors.confirmed_secrets(user_ids).items()}

    return AccountPart(read=read, store=store, export=export, is_secret=True)


def _secret(value: Any) -> bytes:
    """Return a secret in base32 (RFC 4648), as people type it: in any case, with blanks, and without padding."""
    if not isinstance(value, str):
        raise ValueError("Not of the type that it must have.")  # noqa: TRY004 - it is the error of a line
    digits = "".join(value.split()).rstrip("=")
    try:
        secret = b32decode(digits + "=" * (-len(digits) % 8), casefold=True)
    except ValueError:
        raise ValueError("Not base32.") from None
    if len(secret) not in SECRET_BYTES:
        raise ValueError(f"Must have {SECRET_BYTES.start} to {SECRET_BYTES.stop - 1} bytes.")
    return secret


account_parts.register("totp_secret", _part)
