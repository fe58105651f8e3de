"""Schemas shared by the routes that send mail, and by those to which its links lead."""

from marshmallow import Schema, fields

from authapp.api.schemas.fields import NO_NUL
from authapp.models.user import EMAIL_MAX_LENGTH

TOKEN_RULE = {
    **NO_NUL,
    "description": "The token in the link of the mail, from behind the `#`.",
    "writeOnly": True,
    "examples": ["AZrHxFs-fVOmsjwdng9KdwyVsUgtBoEDNHFDSg7ZYdzKE0ZN9qOWYzMDbTM3G1J_"],
}
TOKEN = fields.String(required=True, metadata=TOKEN_RULE)


class MailRequestSchema(Schema):
    """The address that a mail is requested for."""

    email = fields.String(
        required=True, metadata={"format": "email", "maxLength": EMAIL_MAX_LENGTH, "examples": ["ada@example.com"]}
    )


class AcceptedSchema(Schema):
    """Nothing: the answer does not tell whether an account has the address."""

    class Meta:
        title = "Accepted"
