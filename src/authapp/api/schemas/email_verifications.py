"""Schemas of the verification of addresses."""

from marshmallow import Schema, fields

from authapp.api.schemas.mail import TOKEN
from authapp.api.schemas.users import KNOWN_PASSWORD


class OneTimeTokenSchema(Schema):
    """The token in the link of the mail."""

    token = TOKEN


class EmailVerificationSchema(OneTimeTokenSchema):
    """The token in the link of the mail, and the password where verification is required before a login."""

    password = fields.String(
        metadata={
            **KNOWN_PASSWORD,
            "description": "Needed beside a token that verifies the address of an account, where verification is "
            "required and the request has no access token of the account.",
        }
    )
