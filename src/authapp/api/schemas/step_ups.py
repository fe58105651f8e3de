"""Schemas of step-ups."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validates_schema

from authapp.api.schemas.factors import TOTP_CODE, factor_name, require_answer_of_kind
from authapp.api.schemas.fields import code_field
from authapp.api.schemas.passkeys import CHALLENGE_ID, AuthenticationCredentialSchema, Base64Url
from authapp.api.schemas.users import KNOWN_PASSWORD
from authapp.domain.factors.kinds import PASSKEY
from authapp.domain.factors.passkey_challenges import PasskeyAnswer


class StepUpSchema(Schema):
    """What authenticates the user again: a password, a code, or the answer of an authenticator."""

    password = fields.String(metadata=KNOWN_PASSWORD)
    code = code_field(description="A code of the authenticator app, or a recovery code.", examples=[TOTP_CODE])
    factor = factor_name(
        required=False, description="Of which kind the answer is. Without it, the form of a code decides."
    )
    credential = fields.Nested(
        AuthenticationCredentialSchema,
        metadata={"description": "The answer of a passkey of yours. It is sent together with `challenge_id`."},
    )
    challenge_id = Base64Url(example=CHALLENGE_ID, description="From `POST /auth/passkey-challenges`.")

    @validates_schema
    def validate_choice(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse several answers, none, and one that is not of the kind in ``factor``."""
        if data.get("factor") == PASSKEY:
            raise ValidationError("For a passkey send credential and challenge_id, without factor.", "factor")
        if len(data.keys() & {"password", "code", "credential"}) != 1:
            raise ValidationError("Send one of password, code and credential.", "password")
        is_passkey = "credential" in data and "factor" not in data
        if is_passkey != ("challenge_id" in data):
            raise ValidationError("Send it together with the credential of a passkey.", "challenge_id")
        if "factor" in data and "password" in data:
            raise ValidationError("Send it together with a code.", "factor")
        if "factor" in data:
            require_answer_of_kind(data)

    @post_load
    def join_answer(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Return the answer by the name of its method; see ``StepUpMethods``."""
        if "challenge_id" in data:
            return {PASSKEY: PasskeyAnswer(data["credential"], data["challenge_id"])}
        if "factor" in data:
            return {data["factor"]: data.get("code", data.get("credential"))}
        return data
