"""Schemas of changes of address and of login links."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema

from authapp.api.schemas.fields import NO_NUL
from authapp.api.schemas.tokens import seconds
from authapp.api.schemas.users import EMAIL_RULE, KNOWN_PASSWORD

CHALLENGE = "YWxsIG9mIHRoaXMgaXMgcmFuZG9tLCAyNTYgYml0cyE"
ONE_TIME_TOKEN = "AZqnxFs-fVOmsjwdng9Kd2FsbCBvZiB0aGlzIGlzIHJhbmRvbSwgMjU2IGJpdHMh"  # noqa: S105 - an example
CODE = "12345678"


class AddressChangeSchema(Schema):
    """The address that a user wants, and the password, which is not needed for an account without one."""

    email = fields.String(required=True, metadata=EMAIL_RULE)
    password = fields.String(metadata=KNOWN_PASSWORD)


class LoginChallengeSchema(Schema):
    """What the client keeps until the user has the mail."""

    challenge = fields.String(required=True, metadata={"examples": [CHALLENGE]})
    expires_in = seconds(600)


class LoginLinkSchema(Schema):
    """The challenge, and either the token of the link or the code in the mail."""

    challenge = fields.String(required=True, metadata={**NO_NUL, "examples": [CHALLENGE]})
    token = fields.String(
        metadata={
            **NO_NUL,
            "writeOnly": True,
            "description": "The token in the link, from behind the `#`.",
            "examples": [ONE_TIME_TOKEN],
        }
    )
    code = fields.String(
        metadata={
            **NO_NUL,
            "writeOnly": True,
            "description": "The eight digits in the mail, instead of the token. Blanks are ignored.",
            "examples": [CODE],
        }
    )

    @validates_schema
    def validate_choice(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse neither and both."""
        if ("token" in data) == ("code" in data):
            raise ValidationError("Send either the token or the code.", "token")
