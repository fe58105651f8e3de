"""Schemas of step-ups."""

from marshmallow import Schema, fields

from authapp.api.schemas.users import KNOWN_PASSWORD


class StepUpSchema(Schema):
    """What authenticates the user again: one field, whose name is that of a method in ``StepUps``."""

    password = fields.String(required=True, metadata=KNOWN_PASSWORD)
