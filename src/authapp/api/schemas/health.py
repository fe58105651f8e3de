"""Schemas of the health checks."""

from marshmallow import Schema, fields


class LiveSchema(Schema):
    """The process answers."""

    status = fields.String(required=True, metadata={"enum": ["live"]})


class ReadySchema(Schema):
    """Requests can be answered."""

    status = fields.String(required=True, metadata={"enum": ["ready"]})
