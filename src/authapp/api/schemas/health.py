"""Schemas of the health checks and of ``/ping``."""

from marshmallow import Schema, fields, validate


class PongSchema(Schema):
    """The response of the example of a private route."""

    message = fields.String(required=True, validate=validate.Equal("pong"), metadata={"enum": ["pong"]})


class LiveSchema(Schema):
    """The process answers."""

    status = fields.String(required=True, metadata={"enum": ["live"]})


class ReadySchema(Schema):
    """Requests can be answered."""

    status = fields.String(required=True, metadata={"enum": ["ready"]})
