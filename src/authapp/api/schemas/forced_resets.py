"""Schema of forced resets."""

from marshmallow import Schema


class ForcedResetSchema(Schema):
    """Nothing: an administrator does not choose the password of somebody else (ASVS 5.0, 6.4.6)."""
