"""Schemas of the verification of addresses."""

from marshmallow import Schema, fields

from authapp.api.schemas.mail import TOKEN
from authapp.api.schemas.users import KNOWN_PASSWORD


class OneTimeTokenSchema(Schema):
    """The token in the link of the mail."""

    token = TOKEN


class EmailVerificationSchema(OneTimeTokenSchema):
    """The token in the link of the mail, and the password if what it confirms needs one."""

    password = fields.String(
        metadata={
            **KNOWN_PASSWORD,
            "description": "Needed beside a token that confirms a new address, and where verification is required "
            "also beside one that verifies an address, unless the request has an access token of the account.",
        }
    )
