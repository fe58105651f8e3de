"""Schemas of second factors."""

from collections.abc import Sequence
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_dump, validate, validates_schema

from authapp.api.schemas.fields import NO_NUL, RECOVERY_CODES, Timestamp, code_field
from authapp.api.schemas.passkeys import AuthenticationCredentialSchema, PasskeySchema
from authapp.api.schemas.providers import ProviderIdentitySchema
from authapp.domain.factors.kinds import TOTP, factor_kinds, provable_kinds, second_steps

CHALLENGE = "AZrHxFs-fVOmsjwdng9KdwyVsUgtBoEDNHFDSg7ZYdzKE0ZN9qOWYzMDbTM3G1J_"
TOTP_CODE = "287082"


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
    passkeys = fields.List(fields.Nested(PasskeySchema), required=True)
    recovery_codes = fields.Nested(RemainingCodesSchema, required=True)
    providers = fields.List(fields.Nested(ProviderIdentitySchema), required=True)

    @post_dump(pass_original=True)
    def add_other_kinds(self, data: dict[str, Any], original: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Add the members of kinds that are registered elsewhere, as they are."""
        return {**original, **data}


def describe_other_kinds(schemas: dict[str, Any]) -> None:
    """Add the members of kinds that are registered by now to ``FactorsSchema`` among the schemas of a document."""
    if (schema := schemas.get("Factors")) is None:
        return
    members = {kind.member or name: dict(kind.member_schema or {}) for name, kind in factor_kinds.items()}
    schema["properties"] = {**members, **schema["properties"]}
    schema["required"] = sorted(schema["properties"])


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
    """Return the field that names a kind of factor."""
    return fields.String(
        required=required, validate=validate.OneOf(provable_kinds), metadata={**metadata, "examples": [TOTP]}
    )


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
    def validate_proof(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse a proof of another kind, and none where there is nothing to ask for first."""
        require_proof_of_kind(data)


def require_proof_of_kind(data: dict[str, Any]) -> None:
    """Refuse a body whose proof is not of the kind that its ``factor`` names. Raises ``ValidationError``.

    Without a proof, a client asks for the options of the kind.
    """
    step = second_steps()[data["factor"]]
    proof = "code" if step.codes else "credential"
    if not {"code", "credential"} & data.keys() <= {proof}:
        raise ValidationError("Send a code for a factor that has codes, or the credential of a passkey.", proof)
    if proof not in data and not step.has_options:
        raise ValidationError("Send a code for this factor.", proof)


class AnsweredSchemas(Sequence[Any]):
    """What answers a proof, or the question for options: always of the kinds that are registered by now."""

    def __init__(self, *schemas: Any) -> None:
        self._schemas = schemas

    def __getitem__(self, index: Any) -> Any:
        options = (dict(step.options_schema) for step in second_steps().values() if step.options_schema)
        return [*self._schemas, *options][index]

    def __len__(self) -> int:
        return len(self[:])
