"""The schema of ``/ping``."""

from marshmallow import Schema, fields, validate


class PongSchema(Schema):
    """The response of the example of a private route."""

    message = fields.String(required=True, validate=validate.Equal("pong"), metadata={"enum": ["pong"]})
