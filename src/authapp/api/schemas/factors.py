"""Schemas of second factors."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema

from authapp.api.schemas.factor_kinds import factor_members
from authapp.api.schemas.fields import NO_NUL, RECOVERY_CODES, Timestamp, code_field
from authapp.api.schemas.passkeys import AuthenticationCredentialSchema
from authapp.domain.factors.kinds import RECOVERY_CODE, TOTP, second_steps
from authapp.domain.factors.password_kind import PASSWORD

CHALLENGE = "AZrHxFs-fVOmsjwdng9KdwyVsUgtBoEDNHFDSg7ZYdzKE0ZN9qOWYzMDbTM3G1J_"
TOTP_CODE = "287082"


class EnabledFactorSchema(Schema):
    """A factor of which an account has one at most."""

    enabled_at = Timestamp(required=True)


class RemainingCodesSchema(Schema):
    """How many recovery codes are left."""

    remaining = fields.Integer(required=True, metadata={"minimum": 0, "examples": [10]})


factor_members[PASSWORD] = fields.Boolean(metadata={"description": "Whether the account has a password."})
factor_members[TOTP] = fields.Nested(
    EnabledFactorSchema, allow_none=True, metadata={"description": "The authenticator app."}
)
factor_members[RECOVERY_CODE] = fields.Nested(RemainingCodesSchema)


class EnrolmentSchema(Schema):
    """The secret for an authenticator app, shown this once: as text, as a URI, and that as a QR code."""

    secret = fields.String(required=True, metadata={"examples": ["JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"]})
    otpauth_uri = fields.String(
        required=True,
        metadata={
            "examples": [
                "otpauth://totp/auth.example.com:ada?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=auth.example.com"
            ]
        },
    )
    qr_svg = fields.String(required=True, metadata={"examples": ['<svg xmlns="http://www.w3.org/2000/svg"></svg>']})


class TotpCodeSchema(Schema):
    """The code that the authenticator app shows."""

    code = code_field(required=True, examples=[TOTP_CODE])


class RecoveryCodesSchema(Schema):
    """New recovery codes, shown this once. Each replaces a second factor once."""

    recovery_codes = fields.List(fields.String(), required=True, metadata={"examples": [RECOVERY_CODES]})


def factor_name(*, required: bool, **metadata: Any) -> fields.String:
    """Return the field that names a kind of factor with a second step."""
    return fields.String(required=required, validate=_validate_kind, metadata={**metadata, "examples": [TOTP]})


def _validate_kind(name: str) -> None:
    if name not in (names := second_steps()):
        raise ValidationError(f"Must be one of: {', '.join(names)}.")


class SecondFactorSchema(Schema):
    """The challenge of a login, and the factor that completes it: one from `factors`."""

    challenge = fields.String(required=True, metadata={**NO_NUL, "examples": [CHALLENGE]})
    factor = factor_name(required=True)
    code = code_field(description="The code, but for a passkey.", examples=[TOTP_CODE])
    credential = fields.Nested(
        AuthenticationCredentialSchema,
        metadata={"description": "The answer of a passkey. Without it, the response has the options to ask it with."},
    )

    @validates_schema
    def validate_answer(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse an answer of another kind, and none where there is nothing to ask for first."""
        require_answer_of_kind(data)
        if second_steps()[data["factor"]].codes and "code" not in data:
            raise ValidationError("Send a code for this factor.", "code")


def require_answer_of_kind(data: dict[str, Any]) -> None:
    """Refuse a body whose answer is not of the kind that its ``factor`` names. Raises ``ValidationError``."""
    answer = "code" if second_steps()[data["factor"]].codes else "credential"
    if not {"code", "credential"} & data.keys() <= {answer}:
        raise ValidationError("Send a code for a factor that has codes, or the credential of a passkey.", answer)
