"""Schema of changes of address."""

from marshmallow import Schema, fields

from authapp.api.schemas.users import EMAIL_RULE, KNOWN_PASSWORD


class AddressChangeSchema(Schema):
    """The address that a user wants, and the password, which is not needed for an account without one."""

    email = fields.String(required=True, metadata=EMAIL_RULE)
    password = fields.String(metadata=KNOWN_PASSWORD)
