"""Schemas of second factors."""

from typing import Any

from marshmallow import Schema, fields, validate

from authapp.api.schemas.fields import NO_NUL, Timestamp
from authapp.domain.sessions.sessions import LogoutScope

CHALLENGE = "AZrHxFs-fVOmsjwdng9KdwyVsUgtBoEDNHFDSg7ZYdzKE0ZN9qOWYzMDbTM3G1J_"
TOTP_CODE = "287082"
RECOVERY_CODES = ["7Q4N-2ZKD-X9F3-A0VB-5MTC-JR8H", "D1PW-6YSE-K4G2-Z7XQ-N0CM-V3TB"]

CODE_RULE = {**NO_NUL, "writeOnly": True, "maxLength": 64}


class EnabledFactorSchema(Schema):
    """A factor of which an account has one at most."""

    enabled_at = Timestamp(required=True)


class RemainingCodesSchema(Schema):
    """How many recovery codes are left."""

    remaining = fields.Integer(required=True, metadata={"minimum": 0, "examples": [10]})


class FactorsSchema(Schema):
    """What an account can be logged in to with."""

    password = fields.Boolean(required=True, metadata={"description": "Whether the account has a password."})
    totp = fields.Nested(
        EnabledFactorSchema, required=True, allow_none=True, metadata={"description": "The authenticator app."}
    )
    passkeys = fields.List(fields.Dict(), required=True, metadata={"examples": [[]]})
    recovery_codes = fields.Nested(RemainingCodesSchema, required=True)
    providers = fields.List(fields.Dict(), required=True, metadata={"examples": [[]]})


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


class NoMembersSchema(Schema):
    """Nothing."""


class TotpCodeSchema(Schema):
    """The code that the authenticator app shows."""

    code = fields.String(required=True, metadata={**CODE_RULE, "examples": [TOTP_CODE]})


class RecoveryCodesSchema(Schema):
    """New recovery codes, shown this once. Each replaces a second factor once."""

    recovery_codes = fields.List(fields.String(), required=True, metadata={"examples": [RECOVERY_CODES]})


class SecondFactorSchema(Schema):
    """The challenge of a login, and the factor that completes it: one from `factors`."""

    challenge = fields.String(required=True, metadata={**NO_NUL, "examples": [CHALLENGE]})
    factor = fields.String(
        required=True, validate=validate.OneOf(["totp", "recovery_code"]), metadata={"examples": ["totp"]}
    )
    code = fields.String(required=True, metadata={**CODE_RULE, "examples": [TOTP_CODE]})


class KeptSessionsSchema(Schema):
    """What happens to the other sessions of the account."""

    sessions = fields.String(
        validate=validate.Equal("keep"),
        metadata={"enum": ["keep"], "description": "`keep` does not end the other sessions."},
    )


def ended_scope(query: dict[str, Any]) -> LogoutScope | None:
    """Return which sessions a change of factors ends, as the query says."""
    return None if query.get("sessions") == "keep" else LogoutScope.OTHERS
