"""Errors, as clients see them (RFC 9457)."""

from marshmallow import Schema, fields


class FaultSchema(Schema):
    """One field at fault."""

    pointer = fields.String(
        required=True, metadata={"description": "A JSON pointer (RFC 6901).", "examples": ["#/email"]}
    )
    detail = fields.String(required=True, metadata={"examples": ["Not a valid email address."]})


class ProblemSchema(Schema):
    """Why a request was refused. `code` is the promise: match on it."""

    type = fields.String(
        required=True, metadata={"format": "uri-reference", "description": "Where this code is explained."}
    )
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    code = fields.String(required=True)
    detail = fields.String(required=True)
    instance = fields.String(required=True)
    request_id = fields.String(required=True)
    errors = fields.List(fields.Nested(FaultSchema))


class ExplanationSchema(Schema):
    """What one code means."""

    type = fields.String(required=True)
    code = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    description = fields.String(required=True)
