"""Schemas of step-ups."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validates_schema

from authapp.api.schemas.factors import TOTP_CODE, factor_name
from authapp.api.schemas.fields import code_field
from authapp.api.schemas.passkeys import CHALLENGE_ID, AuthenticationCredentialSchema, Base64Url
from authapp.api.schemas.users import KNOWN_PASSWORD
from authapp.domain.factors.passkey_challenges import PasskeyAnswer
from authapp.domain.factors.second_factors import StepUpCode


class StepUpSchema(Schema):
    """What authenticates the user again: one field, whose name is that of a method in ``StepUps``."""

    password = fields.String(metadata=KNOWN_PASSWORD)
    code = code_field(description="A code of the authenticator app, or a recovery code.", examples=[TOTP_CODE])
    factor = factor_name(required=False, description="Of which kind the code is. Without it, its form decides.")
    credential = fields.Nested(
        AuthenticationCredentialSchema,
        metadata={"description": "The answer of a passkey of yours. It is sent together with `challenge_id`."},
    )
    challenge_id = Base64Url(example=CHALLENGE_ID, description="From `POST /auth/passkey-challenges`.")

    @validates_schema
    def validate_choice(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse none and several."""
        if len(data.keys() - {"challenge_id", "factor"}) != 1:
            raise ValidationError("Send one of password, code and credential.", "password")
        if ("credential" in data) != ("challenge_id" in data):
            raise ValidationError("Send it together with a credential.", "challenge_id")
        if "factor" in data and "code" not in data:
            raise ValidationError("Send it together with a code.", "factor")

    @post_load
    def join_answer(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Return the method alone, with what it takes."""
        if "code" in data:
            return {"code": StepUpCode(**data)}
        challenge_id = data.pop("challenge_id", None)
        return {"credential": PasskeyAnswer(data["credential"], challenge_id)} if challenge_id else data
