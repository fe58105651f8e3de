"""Schemas of step-ups."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema

from authapp.api.schemas.factors import CODE_RULE, TOTP_CODE
from authapp.api.schemas.users import KNOWN_PASSWORD


class StepUpSchema(Schema):
    """What authenticates the user again: one field, whose name is that of a method in ``StepUps``."""

    password = fields.String(metadata=KNOWN_PASSWORD)
    code = fields.String(
        metadata={
            **CODE_RULE,
            "description": "A code of the authenticator app, or a recovery code.",
            "examples": [TOTP_CODE],
        }
    )

    @validates_schema
    def validate_choice(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse none and several."""
        if len(data) != 1:
            raise ValidationError("Send either the password or the code.", "password")
