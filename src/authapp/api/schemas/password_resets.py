"""Schemas of password resets."""

from marshmallow import Schema, fields

from authapp.api.schemas.mail import TOKEN
from authapp.api.schemas.users import PASSWORD_RULE


class PasswordResetSchema(Schema):
    """The token in the link of the mail, and the new password."""

    token = TOKEN
    new_password = fields.String(required=True, metadata=PASSWORD_RULE)
