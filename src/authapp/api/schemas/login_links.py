"""Schemas of login links."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema

from authapp.api.schemas.fields import NO_NUL, code_field
from authapp.api.schemas.mail import TOKEN_RULE
from authapp.api.schemas.tokens import seconds

CHALLENGE = "YWxsIG9mIHRoaXMgaXMgcmFuZG9tLCAyNTYgYml0cyE"
CODE = "12345678"


class LoginChallengeSchema(Schema):
    """What the client keeps until the user has the mail."""

    challenge = fields.String(required=True, metadata={"examples": [CHALLENGE]})
    expires_in = seconds(600)


class LoginLinkSchema(Schema):
    """The challenge, and either the token of the link or the code in the mail."""

    challenge = fields.String(required=True, metadata={**NO_NUL, "examples": [CHALLENGE]})
    token = fields.String(metadata=TOKEN_RULE)
    code = code_field(
        description="The eight digits in the mail, instead of the token. Blanks are ignored.", examples=[CODE]
    )

    @validates_schema
    def validate_choice(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse neither and both."""
        if ("token" in data) == ("code" in data):
            raise ValidationError("Send either the token or the code.", "token")
